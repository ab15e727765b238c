"""Batch norm that keeps the statistics it was pretrained with."""

from types import SimpleNamespace

import pytest
import torch
from mmseg.registry import HOOKS
from torch import nn

from mmseg_pacbal.openmmlab.engine.hooks import FrozenStatisticsHook


@pytest.fixture
def model() -> nn.Module:
    def part() -> nn.Module:
        return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Dropout(0.5))

    torch.manual_seed(0)
    return nn.ModuleDict(dict(backbone=part(), head=part()))


def test_statistics_stay_and_weights_learn(model):
    hook = HOOKS.build(dict(type='FrozenStatisticsHook'))
    model.train()  # as the loop does after a validation
    hook.before_train_iter(SimpleNamespace(model=model), 0)
    image = torch.randn(2, 2, 4, 4) + 5
    for name in ('backbone', 'head'):
        norm = model[name][1]
        before = norm.running_mean.clone()
        model[name](image).square().sum().backward()
        assert torch.equal(norm.running_mean, before) == (name == 'backbone')
        assert norm.weight.grad.abs().min() > 0
    assert model['backbone'][2].training  # batch norm alone is frozen


def test_arguments(model):
    runner = SimpleNamespace(model=model)
    with pytest.raises(ValueError, match=r"a part with batch norms, but got 'head\.0'"):
        FrozenStatisticsHook('head.0').before_train_iter(runner, 0)
    with pytest.raises(ValueError, match="module must be a name such as 'backbone', but got 3"):
        FrozenStatisticsHook(3)
