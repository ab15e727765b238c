"""Processes that share a store with processes that are gone; what a config says of processes."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest import mock

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel, MMSeparateDistributedDataParallel

from mmseg_pacbal.openmmlab.engine.processes import fresh_store_prefix, start_processes


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


DEFAULT = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)
SEPARATE = dict(type='MMSeparateDistributedDataParallel', find_unused_parameters=True)
SHARDED = dict(type='MMFullyShardedDataParallel')


@pytest.mark.skipif(torch.cuda.is_available(), reason='with GPUs mmengine starts the processes')
@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        ({}, DEFAULT | dict(find_unused_parameters=False)),
        (dict(find_unused_parameters=True), DEFAULT | dict(find_unused_parameters=True)),
        (
            dict(model_wrapper_cfg=dict(static_graph=True)),  # broadcasts buffers, as torch does
            dict(type='MMDistributedDataParallel', static_graph=True, device_ids=None),
        ),
        (
            dict(model_wrapper_cfg=dict(type=MMDistributedDataParallel, device_ids=[1])),
            dict(type=MMDistributedDataParallel, device_ids=None),
        ),
        (dict(model_wrapper_cfg=SEPARATE), SEPARATE | dict(device_ids=None)),
        (dict(model_wrapper_cfg=SHARDED), SHARDED),
    ],
    ids=str,
)
def test_what_a_config_says_of_its_processes_holds_without_gpus(given, expected, monkeypatch):
    assert issubclass(MMSeparateDistributedDataParallel, torch.nn.parallel.DistributedDataParallel)
    started = mock.Mock()
    monkeypatch.setattr(dist, 'rendezvous', lambda url: iter([(dist.HashStore(), 0, 1)]))
    monkeypatch.setattr(dist, 'init_process_group', started)
    monkeypatch.setenv('LOCAL_RANK', '0')
    model = dict(norm_cfg=dict(type='SyncBN'))
    env = dict(dist_cfg=dict(backend='nccl', timeout=90))
    cfg = Config(dict(model=model, sync_bn='torch', env_cfg=env, **given))
    start_processes(cfg, 'pytorch', 0)
    assert cfg.model_wrapper_cfg == expected
    assert (cfg.model.norm_cfg.type, cfg.sync_bn) == ('BN', None)
    assert started.call_args.kwargs['timeout'] == timedelta(seconds=90)
