"""Random numbers that depend on the seed and a position alone, not on what was drawn before."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from mmengine.dataset import InfiniteSampler
from mmengine.dist import broadcast_object_list
from mmengine.runner import set_random_seed
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import Dataset

# What a seed is derived for, so that a sample and an iteration of the same number differ.
_SAMPLE, _ITERATION = 0, 1


def derived_seed(seed: int, *key: int) -> int:
    """A seed of 32 bits for each key of a seed, by NumPy's SeedSequence.

    Args:
        seed: 0 or more.
        key: Integers, 0 or more.
    """
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1)[0])


def shared_seed(seed: int | None) -> int | None:
    """The first process's seed: all draw from one order of the data, whatever else they draw."""
    shared = [seed]
    broadcast_object_list(shared)
    return shared[0]


def seed_iteration(seed: int, iteration: int) -> None:
    """Seed Python, NumPy and torch for one iteration."""
    set_random_seed(derived_seed(seed, _ITERATION, iteration))


@DATA_SAMPLERS.register_module()
class SeededSampler(InfiniteSampler):
    """mmengine's InfiniteSampler, with a seed for every sample and a start anywhere.

    Yields pairs (seed, index), which ``ResumableTrainLoop`` hands to a :class:`SeededDataset`. The
    order is InfiniteSampler's. The seed is derived from the
    sample's position in the order over all processes: how many there are changes neither.

    Attributes:
        start: How many samples of this process are passed over. They are only counted, not
            read: a million take less than a second.
    """

    start = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        first = self.rank + self.start * self.world_size
        order = enumerate(self._infinite_indices())
        for position, index in islice(order, first, None, self.world_size):
            yield derived_seed(self.seed, _SAMPLE, position), index


class SeededDataset(Dataset):
    """A data set that is read with the pairs (seed, index) of :class:`SeededSampler`.

    Python, NumPy and torch are seeded in the process that reads, just before it reads: a random
    crop is the same whichever worker makes it, and whatever was made before.

    Args:
        dataset: What is read with an index alone.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.metainfo = dataset.metainfo

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, seed_and_index: tuple[int, int]) -> Any:
        seed, index = seed_and_index
        set_random_seed(seed)
        return self.dataset[index]
