"""Weights of a label, against values worked out by hand and against the ops."""

import math

import numpy as np
import pytest
import torch

from mmseg_pacbal import boundary_weight_map
from mmseg_pacbal.apps.explore.samples import LabelSample, full_palette
from mmseg_pacbal.apps.explore.settings import settings_of
from mmseg_pacbal.apps.explore.weights import best_line, offset_effect, weights

SHARP = dict(kernel_size=1, downsample=1, beta=0.25)  # E_G = E + 0.25


def sample_of(label: list | np.ndarray) -> LabelSample:
    return LabelSample(np.array(label, np.uint8), full_palette(()))


@pytest.fixture
def halves() -> LabelSample:
    """Class 0 left of class 1, and a row of void below."""
    return sample_of([[0, 0, 0, 1, 1, 1]] * 3 + [[255] * 6])


@pytest.mark.parametrize(
    ('change', 'row', 'edges'),
    [
        ({}, 2, [0, 0, 2, 0, 0, 0]),  # of both classes; the row of void is padding
        ({}, 3, [0] * 6),
        (dict(ignore_padding=False), 2, [1, 1, 2, 1, 1, 1]),  # the row above the void
        (dict(ignore_padding=False, void_edges=False), 2, [0, 0, 2, 0, 0, 0]),
        (dict(ignore_index=1), 0, [0, 0, 1, 0, 0, 0]),  # 255 is a class, 1 is void
        (dict(ignore_index=-100), 2, [2, 2, 3, 2, 2, 2]),  # 255 is a class like any other
    ],
)
def test_weights_without_a_blur_are_edges_and_beta(halves, change, row, edges):
    found, weight = weights(halves, settings_of({**SHARP, **change}))
    assert found[row].tolist() == edges
    assert weight.tolist() == (found + 0.25).tolist()


def test_weights_are_those_of_the_op(halves):
    arguments = dict(kernel='linear', kernel_size=3, sigma=2.0, beta=0.1, downsample=2)
    found = weights(halves, settings_of(arguments))[1]
    expected = boundary_weight_map(torch.from_numpy(halves.label)[None], **arguments)[0].numpy()
    np.testing.assert_array_equal(found, expected)
    normalised = weights(halves, settings_of(dict(arguments, normalize='mean')))[1]
    np.testing.assert_allclose(normalised, expected / expected[:3].mean(), rtol=1e-6)


def test_best_line_crosses_the_most_boundaries():
    label = np.array([[0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 1, 1], [0, 0, 0, 0]])
    assert best_line(label, 0) == 1  # three changes
    assert best_line(label, 1) == 2  # two changes, as in 1 and 3
    assert best_line(np.zeros((7, 3)), 0) == 3  # none anywhere: the middle


def test_offsets_of_a_straight_boundary():
    """Without antialiasing it vanishes at two of four offsets, and counts twice at the others."""
    label = np.zeros((64, 64), np.uint8)
    label[:, 34:] = 1
    settings = settings_of(dict(kernel_size=5))
    on, off = (
        offset_effect(sample_of(label), settings._replace(antialias=each)) for each in (True, False)
    )
    assert len(off[0]) == len(on[0]) == 4
    assert sorted(value == settings.beta for value in off[1]) == [False, False, True, True]
    assert max(on[0]) - min(on[0]) < 0.1 * (max(off[0]) - min(off[0]))
    assert off[2] > 0.8 > 0.2 > on[2]


@pytest.mark.parametrize('normalize', [None, 'mean'])
def test_the_first_offset_is_the_label_as_it_lies(normalize):
    label = np.random.default_rng(0).integers(0, 3, (30, 41))
    settings = settings_of(dict(kernel_size=3, downsample=2, antialias=False))
    mean, peak, _ = offset_effect(sample_of(label), settings._replace(normalize=normalize))
    weight = weights(sample_of(label), settings)[1]
    assert mean[0] == pytest.approx(float(weight.mean()))
    assert peak[0] == pytest.approx(float(weight.max()))


def test_offsets_of_a_label_without_edges_or_pixels():
    even = offset_effect(sample_of(np.zeros((9, 9))), settings_of({}))
    assert even == ([0.5] * 4, [0.5] * 4, 0)
    void = offset_effect(sample_of(np.full((9, 9), 255)), settings_of({}))
    assert all(math.isnan(value) for value in (*void[0], *void[1], void[2]))
