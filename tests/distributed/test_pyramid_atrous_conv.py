"""DDP, FSDP2 and distributed checkpoints of PAC: two processes train as one does."""

import copy
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict
from torch.nn.parallel import DistributedDataParallel

from mmseg_pacbal import PyramidAtrousConv
from tests.distributed.processes import PARTS, run_processes

pytestmark = pytest.mark.slow
STEPS = 3


def model() -> nn.Module:
    torch.manual_seed(0)
    pac = PyramidAtrousConv(8, 5, (1, 3, 5), backend='factorized')
    return nn.Sequential(pac, nn.Conv2d(5, 2, 1)).double()


def train(model: nn.Module, part: slice, share: float = 1.0) -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(5, 8, 9, 11, generator=generator, dtype=torch.float64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(STEPS):
        optimizer.zero_grad()
        (model(images[part]).square().sum() / share).backward()
        optimizer.step()


def trained_in_parts(part: slice) -> dict[str, dict[str, Tensor]]:
    """The weights after training in each way; a process of one of two averages gradients."""
    fully_shard = pytest.importorskip('torch.distributed.fsdp').fully_shard
    share = 1 / len(PARTS[2])
    replicated, sharded = DistributedDataParallel(model()), model()
    fully_shard(sharded[0])
    fully_shard(sharded)
    for one in (replicated, sharded):
        train(one, part, share)
    found = dict(
        ddp=replicated.module.state_dict(),
        fsdp={name: value.full_tensor() for name, value in sharded.state_dict().items()},
    )
    # Saved by shards, loaded into a model that is sharded otherwise, and into one that is not.
    dcp.save(get_model_state_dict(sharded), checkpoint_id='saved')
    for name, other in (('dcp fsdp', model()), ('dcp', model())):
        if name == 'dcp fsdp':
            fully_shard(other)
        state = get_model_state_dict(other)
        dcp.load(state, checkpoint_id='saved')
        set_model_state_dict(other, state)
        found[name] = {
            key: value.full_tensor() if hasattr(value, 'full_tensor') else value
            for key, value in other.state_dict().items()
        }
    return copy.deepcopy(found)


def test_two_processes_train_as_one(tmp_path: Path):
    if not hasattr(torch.distributed.fsdp, 'fully_shard'):
        pytest.skip('torch has fully_shard from 2.6 on')
    alone = model()
    train(alone, slice(None))
    assert not torch.equal(alone[0].weight, model()[0].weight)
    for found in run_processes(2, trained_in_parts, tmp_path):
        for state in found.values():
            torch.testing.assert_close(state, dict(alone.state_dict()))
