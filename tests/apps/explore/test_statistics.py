"""Figures of a label, against values worked out by hand and against the ops."""

import math

import numpy as np
import pytest
import torch

from mmseg_pacbal import boundary_weight_map
from mmseg_pacbal.apps.explore.samples import LabelSample, full_palette
from mmseg_pacbal.apps.explore.settings import settings_of
from mmseg_pacbal.apps.explore.statistics import (
    BINS,
    Weights,
    best_line,
    figures,
    histogram,
    line_of,
    offset_effect,
    weights,
)

SHARP = dict(kernel_size=1, downsample=1, beta=0.25)  # E_G = E + 0.25


def sample_of(label: list | np.ndarray) -> LabelSample:
    return LabelSample('a', np.array(label, np.uint8), full_palette(()))


@pytest.fixture
def halves() -> LabelSample:
    """Class 0 left of class 1, and a row of void below."""
    return sample_of([[0, 0, 0, 1, 1, 1]] * 3 + [[255] * 6])


def test_weights_without_a_blur_are_edges_and_beta(halves):
    # Both classes have an edge left of the boundary; the row of void is padding.
    found = weights(halves, settings_of(SHARP))
    assert found.edges.tolist() == [[0, 0, 2, 0, 0, 0]] * 3 + [[0] * 6]
    assert found.weight.tolist() == (found.edges + 0.25).tolist()
    assert found.valid.tolist() == [[True] * 6] * 3 + [[False] * 6]


@pytest.mark.parametrize(
    ('change', 'edges'),
    [
        (dict(ignore_padding=False), [1, 1, 2, 1, 1, 1]),  # the row above the void
        (dict(ignore_padding=False, void_edges=False), [0, 0, 2, 0, 0, 0]),
        (dict(ignore_index=1), [0, 0, 1, 0, 0, 0]),  # 255 is a class, 1 is void
    ],
)
def test_arguments_change_the_edges(halves, change, edges):
    found = weights(halves, settings_of({**SHARP, **change}))
    if change.get('ignore_index') == 1:
        assert found.edges[0].tolist() == edges
        assert found.valid[0].tolist() == [True] * 3 + [False] * 3
    else:
        assert found.edges[2].tolist() == edges


def test_weights_are_those_of_the_op(halves):
    arguments = dict(kernel='linear', kernel_size=3, sigma=2.0, beta=0.1, downsample=2)
    found = weights(halves, settings_of(arguments)).weight
    expected = boundary_weight_map(torch.from_numpy(halves.label)[None], **arguments)[0].numpy()
    np.testing.assert_array_equal(found, expected)
    normalised = weights(halves, settings_of(dict(arguments, normalize='mean'))).weight
    np.testing.assert_allclose(normalised, expected / expected[:3].mean(), rtol=1e-6)


def test_a_void_label_beyond_a_byte(halves):
    found = weights(halves, settings_of(dict(SHARP, ignore_index=-100)))
    assert found.valid.all()
    assert found.edges[2].tolist() == [2, 2, 3, 2, 2, 2]  # 255 is a class like any other


def test_figures():
    weight = np.array([[0.5, 0.5, 3.0, 100.0]], np.float32)
    found = figures(Weights(weight, weight, np.array([[True, True, True, False]])))
    assert found.mean == pytest.approx(4 / 3)
    assert (found.least, found.peak) == (0.5, 3.0)
    assert found.below_one == pytest.approx(2 / 3)


def test_figures_of_void_alone():
    found = figures(weights(sample_of([[255, 255]]), settings_of({})))
    assert all(math.isnan(value) for value in found)


def test_histogram_counts_pixels_that_are_not_void():
    weight = np.array([[0.5, 0.5, 3.9, 0.5]], np.float32)
    found = Weights(weight, weight, np.array([[True, True, True, False]]))
    shares = histogram(found, top=4.0)
    assert len(shares) == BINS
    assert shares.sum() == pytest.approx(1)
    assert shares[int(0.5 / 4 * BINS)] == pytest.approx(2 / 3)
    assert shares[-2:].sum() == pytest.approx(1 / 3)
    assert histogram(found._replace(valid=np.zeros((1, 4), bool)), 4.0).sum() == 0


def test_best_line_crosses_the_most_boundaries():
    label = np.array([[0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 1, 1], [0, 0, 0, 0]])
    assert best_line(label) == 1  # three changes
    assert best_line(label, column=True) == 2  # two changes, as in 1 and 3
    assert best_line(np.zeros((7, 3))) == 3  # none anywhere: the middle
    assert line_of(label, 1).tolist() == [0, 1, 0, 1]
    assert line_of(label, 2, column=True).tolist() == [0, 0, 1, 0]


def test_offsets_of_a_straight_boundary():
    """Without antialiasing it vanishes at two of four offsets, and counts twice at the others."""
    label = np.zeros((64, 64), np.uint8)
    label[:, 34:] = 1
    sample, settings = sample_of(label), settings_of(dict(kernel_size=5))
    off = offset_effect(sample, settings, antialias=False)
    on = offset_effect(sample, settings, antialias=True)
    assert len(off.mean) == len(on.mean) == 4
    assert sorted(value == settings.beta for value in off.peak) == [False, False, True, True]
    assert max(on.mean) - min(on.mean) < 0.1 * (max(off.mean) - min(off.mean))
    assert off.deviation > 0.8 > 0.2 > on.deviation


def test_the_first_offset_is_the_label_as_it_lies():
    label = np.random.default_rng(0).integers(0, 3, (30, 41)).astype(np.uint8)
    settings = settings_of(dict(kernel_size=3, downsample=2, antialias=False))
    found = offset_effect(sample_of(label), settings, antialias=False)
    weight = weights(sample_of(label), settings).weight
    assert found.mean[0] == pytest.approx(float(weight.mean()))
    assert found.peak[0] == pytest.approx(float(weight.max()))


def test_offsets_of_a_label_without_edges_or_pixels():
    even = offset_effect(sample_of(np.zeros((9, 9))), settings_of({}), antialias=True)
    assert even.mean == even.peak == [0.5] * 4
    assert even.deviation == 0
    void = offset_effect(sample_of(np.full((9, 9), 255)), settings_of({}), antialias=True)
    assert all(math.isnan(value) for value in void.mean)
