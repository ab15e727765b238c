"""Processes that share a store with processes that are gone."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch.distributed as dist

from mmseg_pacbal.openmmlab.engine.processes import fresh_store_prefix


@pytest.fixture
def store() -> dist.Store:
    return dist.TCPStore('localhost', 0, is_master=True, wait_for_workers=False)


def together(store: dist.Store, size: int, delays: dict[int, float]) -> list[dist.Store]:
    """What each rank gets if it asks after a delay, in seconds."""

    def ask(rank: int) -> dist.Store:
        time.sleep(delays.get(rank, 0))
        client = dist.TCPStore('localhost', store.port, is_master=False)
        return fresh_store_prefix(client, rank, size)

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(ask, range(size), timeout=30))


@pytest.mark.parametrize('delays', [{0: 0.5}, {1: 0.5}, {}], ids=['0 late', '1 late', 'at once'])
def test_successors_do_not_read_what_is_left(store, delays):
    for start in range(3):  # the second and third are started again
        parts = together(store, 3, delays)
        for rank, part in enumerate(parts):
            assert not part.check([f'address/{rank}'])
            part.set(f'address/{rank}', f'{start} {rank}')
        for part in parts:
            assert [part.get(f'address/{rank}') for rank in range(3)] == [
                f'{start} {rank}'.encode() for rank in range(3)
            ]


def test_a_predecessor_that_reported_and_died_is_not_taken_for_its_successor(store):
    first = together(store, 2, {})
    first[0].set('address/0', 'old')
    # Rank 1 is there again long before rank 0, and reads the part of the old one.
    _, part = together(store, 2, {0: 1.5})
    assert not part.check(['address/0'])
    assert not fresh_store_prefix(store, 0, 1).check(['address/0'])  # and alone
