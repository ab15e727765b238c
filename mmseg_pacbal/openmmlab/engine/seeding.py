"""Random numbers that depend only on the seed and a position, not on earlier draws."""

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.device import get_device
from mmengine.dist import broadcast_object_list
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import Dataset

from ..data_checks.samples import base_datasets

# First part of a key, so that sample n and iteration n get different seeds.
_SAMPLE, _ITERATION = 0, 1


def derived_seed(seed: int, *key: int) -> int:
    """A 32-bit seed for each pair of seed and key, from NumPy's SeedSequence."""
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1)[0])


def shared_seed(seed: int | None) -> int | None:
    """The seed of the first process, so that all processes draw from the same order of the data."""
    shared = [seed]
    broadcast_object_list(shared)
    return shared[0]


def seed_iteration(seed: int, iteration: int) -> None:
    """Seed Python, NumPy and torch, with the generators of the device, for one iteration."""
    derived = derived_seed(seed, _ITERATION, iteration)
    device = get_device()
    if device == 'cuda':
        torch.cuda.manual_seed_all(derived)
    elif device != 'cpu':
        torch.manual_seed(derived)
    seed_cpu(derived)


def seed_cpu(seed: int) -> None:
    """mmengine's ``set_random_seed`` for draws on the CPU, but for its cost.

    In a process that has not used a GPU, ``torch.manual_seed`` formats the whole call stack as
    text, which takes a worker longer than all checks of a sample.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)


@DATA_SAMPLERS.register_module()
class SeededSampler(InfiniteSampler):
    """mmengine's InfiniteSampler with a seed for every sample, which can start at any sample.

    Yields pairs (seed, index), which ``ResumableTrainLoop`` passes to a :class:`SeededDataset`.
    The order is that of InfiniteSampler, and the seed is derived from the position in that order,
    which is shared by all processes: neither depends on the number of processes.

    Attributes:
        start: How many samples of this process to skip. They are only counted, not read; a
            million of them take less than a second.
    """

    start = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        first = self.rank + self.start * self.world_size
        order = enumerate(self._infinite_indices())
        for position, index in islice(order, first, None, self.world_size):
            yield derived_seed(self.seed, _SAMPLE, position), index


class SeededDataset(Dataset):
    """A data set that is indexed with the pairs (seed, index) of :class:`SeededSampler`.

    Python, NumPy and torch are seeded in the process that reads a sample, just before it reads, and
    so is albumentations: a random crop is the same in any worker and after any other samples.
    Samples are read on the CPU.

    Args:
        dataset: Any data set that is indexed with an integer.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.metainfo = dataset.metainfo
        pipelines = (part.pipeline for part in base_datasets(dataset))
        self._augmenters = [*_albumentations(pipelines)]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, seed_and_index: tuple[int, int]) -> Any:
        seed, index = seed_and_index
        seed_cpu(seed)
        for augmenter in self._augmenters:
            augmenter.set_random_seed(seed)
        return self.dataset[index]


def _albumentations(transforms: Iterable) -> Iterator[Any]:
    """What draws from generators of its own, inside MMSegmentation's ``Albu``, at any depth."""
    for transform in transforms:
        if hasattr(getattr(transform, 'aug', None), 'set_random_seed'):
            yield transform.aug
        nested = transform if isinstance(transform, list) else getattr(transform, 'transforms', ())
        yield from _albumentations(nested)
