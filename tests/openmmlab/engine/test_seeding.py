"""Seeds by position: the data a run sees does not depend on where it started."""

import random
from itertools import islice
from unittest import mock

import numpy as np
import pytest
import torch
from mmcv.transforms import RandomApply
from mmengine.dataset import ConcatDataset, InfiniteSampler
from mmengine.runner import set_random_seed
from mmseg.datasets import BaseSegDataset
from torch.utils.data import DataLoader, Dataset

from mmseg_pacbal.openmmlab.engine import SeededDataset, SeededSampler, derived_seed
from mmseg_pacbal.openmmlab.engine.seeding import seed_iteration


class Draws(Dataset):
    """Each sample is its index and a number from each of the three generators."""

    def __init__(self):
        self.metainfo = dict(classes=('a',))

    def __len__(self):
        return 7

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), torch.rand(()).item()


def batches(start: int, count: int, workers: int = 0) -> list:
    dataset = SeededDataset(Draws())
    assert (len(dataset), dataset.metainfo) == (7, dict(classes=('a',)))
    sampler = SeededSampler(dataset, seed=5)
    sampler.start = start
    loader = DataLoader(dataset, batch_size=4, sampler=sampler, num_workers=workers)
    # tolist: of what a worker sends, the memory goes with it
    return [[column.tolist() for column in b] for b in islice(loader, count)]


def test_seeds_differ_and_stay():
    keys = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0), (2**32 - 1, 1, 30000 * 16)]
    seeds = [derived_seed(*key) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert all(0 <= s < 2**32 for s in seeds)
    # Another value would change the data of every run that continues from an earlier checkpoint.
    assert derived_seed(0, 1, 2) == 1016617948


def test_seeds_are_those_of_mmengine_without_their_cost():
    set_random_seed(9)
    expected = Draws()[0]
    with mock.patch('traceback.format_stack') as stack:  # what makes torch.manual_seed slow
        assert SeededDataset(Draws())[9, 0] == expected
    assert not stack.called
    set_random_seed(derived_seed(0, 1, 5))
    expected = Draws()[0]
    seed_iteration(0, 5)
    assert Draws()[0] == expected
    assert torch.initial_seed() == derived_seed(0, 1, 5)


def test_order_is_that_of_infinite_sampler_from_anywhere():
    sampler = SeededSampler(Draws(), seed=5)
    whole = list(islice(sampler, 40))
    assert [index for _, index in whole] == list(islice(InfiniteSampler(Draws(), seed=5), 40))
    assert list(islice(sampler, 40)) == whole
    sampler.start = 23
    assert list(islice(sampler, 17)) == whole[23:]


def test_processes_share_the_order_of_one():
    whole = list(islice(SeededSampler(Draws(), seed=5), 24))
    parts = []
    for rank in range(3):
        with mock.patch('mmengine.dataset.sampler.get_dist_info', return_value=(rank, 3)):
            sampler = SeededSampler(Draws(), seed=5)
        sampler.start = 2
        parts.append(list(islice(sampler, 6)))
    assert [pair for row in zip(*parts, strict=True) for pair in row] == whole[6:]


@pytest.mark.parametrize('workers', [0, 2])
def test_samples_do_not_depend_on_the_start_nor_on_workers(workers):
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    whole = batches(0, 6)
    assert len({draw for batch in whole for draw in batch[1]}) == 24
    assert batches(12, 3, workers) == whole[3:]


class OwnGenerator:
    """As albumentations 2 draws: not from the generators of Python, NumPy and torch."""

    def __init__(self):
        self.random_generator = np.random.default_rng()

    def set_random_seed(self, seed):
        self.random_generator = np.random.default_rng(seed)

    def __call__(self, results):
        return results | dict(drawn=self.random_generator.random())


class WithAlbu(BaseSegDataset):
    def load_data_list(self):
        return [dict(img_path=f'{index}.png') for index in range(3)]


def test_albumentations_is_seeded_at_any_depth():
    albu = OwnGenerator()
    albu.aug = albu
    nested = RandomApply(transforms=[albu], prob=1.0)
    metainfo = dict(classes=('a',), palette=[[0, 0, 0]])
    inner = WithAlbu(metainfo=metainfo, pipeline=[nested], serialize_data=False)
    dataset = SeededDataset(ConcatDataset([inner]))
    first = dataset[9, 0]['drawn']
    assert first == np.random.default_rng(9).random()
    assert dataset[8, 1]['drawn'] != first
    assert dataset[9, 2]['drawn'] == first
