"""Statistics of the weights, against numpy on all pixels at once; the picture of antialiasing."""

import runpy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.apps.weight_statistics import QUANTILES, VOID, weight_statistics, weight_table
from mmseg_pacbal.ops import boundary_weight_map
from tests.environments import ROOT
from tests.running import call_tool, mistake


def labels_of_two_classes() -> list[torch.Tensor]:
    left, rim = torch.zeros(2, 1, 48, 64, dtype=torch.uint8)
    left[..., 20:] = 1
    rim[..., 30:] = 1
    rim[..., 28:32] = VOID
    return [left, rim]


def test_mean_and_quantiles_are_those_of_all_pixels():
    labels = labels_of_two_classes()
    mean, quantiles, under = weight_statistics(labels, BoundaryAwareLoss())
    weights = torch.cat([boundary_weight_map(label)[label != VOID] for label in labels]).numpy()
    assert mean == pytest.approx(weights.mean(), rel=1e-5)
    expected = np.quantile(weights, QUANTILES, method='inverted_cdf')
    np.testing.assert_allclose(quantiles, expected, atol=0.0051)
    assert under == pytest.approx((weights < 1).mean(), abs=0.01)


def test_more_pixels_than_a_float32_counts():
    """torch.histc counts in float32, which ends at 2^24."""
    label = torch.zeros(1, 1, 2**24 + 2**20, dtype=torch.uint8)
    loss = SimpleNamespace(weight_map=lambda label: torch.full(label.shape, 2.0))
    mean, quantiles, under = weight_statistics([label], loss)
    assert (mean, under) == (2, 0)
    assert quantiles == [pytest.approx(2, abs=0.0051)] * len(QUANTILES)


def test_a_map_without_boundary_weighs_beta():
    assert weight_table(
        dict(one=[torch.zeros(1, 8, 8, dtype=torch.uint8)]), BoundaryAwareLoss()
    ).splitlines() == [
        '| labels | maps | mean | 1% | 5% | 25% | 50% | 75% | 95% | 99% | under 1 |',
        '|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|',
        '| one | 1 | 0.5 | 0.5 | 0.5 | 0.5 | 0.5 | 0.5 | 0.5 | 0.5 | 100.0% |',
    ]


def test_maps_with_and_without_void_have_a_row_each():
    labels = labels_of_two_classes()
    rows = weight_table(dict(a=labels, b=labels[:1]), BoundaryAwareLoss()).splitlines()[2:]
    assert [row.split(' | ')[:2] for row in rows] == [
        ['| a', '2'],
        ['| a, with void', '1'],
        ['| a, without', '1'],
        ['| b', '1'],
    ]
    assert rows[2].split(' | ')[2:] == rows[3].split(' | ')[2:]


def test_tool(tmp_path, capsys):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / 'a.png')
    for options, mean in (((), 0.5), (('--loss', 'beta=2', 'kernel_size=9'), 2.0)):
        call_tool('weight_statistics', tmp_path, *options)
        assert f'| {tmp_path} | 1 | {mean} |' in capsys.readouterr().out
    wrong = mistake(capsys, 'weight_statistics', tmp_path, '--loss', 'kernal_size=9')
    assert 'kernel_size' in wrong


def test_squares_of_the_page_on_antialiasing():
    """The means that docs/boundary_weights.md states, and no spread where nothing is shrunk."""
    script = runpy.run_path(str(ROOT / 'docs' / 'antialias.py'))
    found = [script['square'](k)[1] for k in range(4)]
    assert [round(maps[True].mean().item(), 1) for maps in found] == [5.5] * 4
    assert [round(maps[False].mean().item(), 1) for maps in found] == [0.5, 0.5, 10.4, 10.4]
    assert len(script['picture']().axes) == 13  # with the bar of colours
    labels = labels_of_two_classes()[:1]
    assert script['spread'](labels, True) < 0.3 < script['spread'](labels, False)
