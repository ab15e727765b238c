"""Pairs of backbone and head: a training step of each, and the table of docs/backbones.md."""

import importlib.util

import pytest
import torch
from torch import nn

from benchmarks.backbones import NUM_CLASSES, PAGE, PAIRS, Pair, cells, network, rates_at, row
from mmseg_pacbal import BoundaryAwareLoss, PACHead
from mmseg_pacbal.openmmlab.feature_checks import check_features

LARGE = 'MobileNetV3-Large, LR-ASPP'  # pools over 49 x 49 pixels of its map
QUICK = {('ResNet-50, PAC', 32), ('MiT-B0, PAC on two maps', 16), ('MiT-B0, SegFormer', 4)}
TABLE = PAGE.read_text()


def param(pair: Pair) -> object:
    marks = [pytest.mark.slow] * ((pair.name, pair.stride) not in QUICK)
    if 'timm' in pair.name:
        missing = importlib.util.find_spec('timm') is None
        marks.append(pytest.mark.skipif(missing, reason='timm is not installed'))
    return pytest.param(pair, id=f'{pair.name}-{pair.stride}', marks=marks)


@pytest.mark.parametrize('pair', map(param, PAIRS))
def test_a_training_step(pair, make_samples):
    torch.manual_seed(0)
    model, pixels = network(pair), 400 if pair.name == LARGE else 64
    model.data_preprocessor.size = (pixels, pixels)
    check_features(model)
    images = torch.randn(2, 3, pixels, pixels)
    side = pixels // pair.stride
    with torch.no_grad():
        assert model(images, mode='tensor').shape == (2, NUM_CLASSES, side, side)
    label = torch.randint(NUM_CLASSES, (2, pixels // 16, pixels // 16))
    label = label.repeat_interleave(16, 1).repeat_interleave(16, 2)
    samples = make_samples(label)
    for sample in samples:
        sample.set_metainfo(dict(img_shape=(pixels, pixels)))
    losses = model.train().loss(images, samples)
    ours = [value for name, value in losses.items() if name.endswith('loss_bal')]
    assert len(ours) == sum(isinstance(m, BoundaryAwareLoss) for m in model.modules()) > 0
    sum(ours).backward()
    assert_trained(model.decode_head)
    assert sum(p.grad.abs().sum() for p in model.backbone.parameters() if p.grad is not None) > 0
    if pair.reads is not None:
        assert isinstance(model.decode_head, PACHead)
        assert model.decode_head.pac.rates == pair.rates


def assert_trained(head: nn.Module) -> None:
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_rates_reach_as_many_pixels():
    assert [rates_at(stride) for stride in (8, 16)] == [(2, 6, 10, 14, 18), (1, 3, 5, 7, 9)]
    assert rates_at(32) == (1, 2, 3, 4, 5)
    for stride in (4, 8, 16, 32):
        assert f'| {stride} | `{rates_at(stride)}` |' in TABLE


def test_the_table_has_every_pair():
    said = [line.split(' | ') for line in TABLE.splitlines() if line.count(' | ') == 6][1:]
    assert [[*line[:5]] for line in said] == [['| ' + c[0], *c[1:]] for c in map(cells, PAIRS)]


@pytest.mark.parametrize('pair', map(param, PAIRS))
def test_figures_are_of_these_networks(pair):
    assert f'| {" | ".join(row(pair))} |' in TABLE
