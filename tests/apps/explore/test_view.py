"""Pictures, charts and words are those of the settings."""

import base64
import re

import cv2
import numpy as np
import pytest

from mmseg_pacbal.apps.explore.drawing import (
    BINS,
    HEIGHT,
    LONGEST,
    WIDTH,
    data_uri,
    heat_picture,
    histogram_chart,
    overlay,
    profile_chart,
    ticks_to,
)
from mmseg_pacbal.apps.explore.samples import LabelSample, full_palette
from mmseg_pacbal.apps.explore.settings import DEFAULTS, settings_of
from mmseg_pacbal.apps.explore.view import view

PALETTE = full_palette([(10, 20, 30), (200, 100, 50)])
SAME = dict(A=DEFAULTS, B=DEFAULTS._replace(beta=0.0, normalize='mean'))


@pytest.fixture
def sample() -> LabelSample:
    label = np.zeros((40, 60), np.uint8)
    label[:, 30:] = 1
    image = np.full((40, 60, 3), 90, np.uint8)
    return LabelSample(label, PALETTE, image, np.full((40, 60), 0.5, np.float32))


def decoded(html: str, before: str = '') -> np.ndarray:
    """The first picture after a text, RGB."""
    data = html[html.index(before) :].partition('base64,')[2].partition('"')[0]
    buffer = np.frombuffer(base64.b64decode(data), np.uint8)
    return cv2.imdecode(buffer, cv2.IMREAD_COLOR)[..., ::-1]


def fact(html: str, side: str, key: str) -> str:
    card = html[html.index(f'class="card {side}"') :]
    return re.sub('<[^>]*>', '', re.search(f'data-fact="{key}">(.*?)</dd>', card)[1])


def test_pictures_of_labels_are_exact(sample):
    shown = decoded(view(sample, SAME, 'row', 0, True), 'picture label')
    np.testing.assert_array_equal(shown, PALETTE[sample.label])
    edges = decoded(view(sample, SAME, 'row', 0, True), 'picture edges')
    assert np.unique(edges).tolist() == [24, 205]  # of E = 0 and 2


def test_heat_goes_from_dark_to_bright():
    picture = heat_picture(np.array([[0.0, 1.0, 2.0, 9.0]]), top=2.0).astype(int).sum(2)[0]
    assert picture[0] < 30 < picture[1] < picture[2] == picture[3]


def test_weights_lie_over_a_grey_picture():
    below = np.array([[[200, 0, 0], [0, 0, 0]]], np.uint8)
    over = overlay(below, np.zeros((1, 2)), 1.0).astype(int)
    assert over[0, 0] - over[0, 1] == pytest.approx(0.45 * 0.299 * 200, abs=1)


def test_large_pictures_are_shrunk():
    assert decoded(data_uri(np.zeros((500, 2000, 3), np.uint8))).shape == (250, LONGEST, 3)


def test_ticks_are_round():
    assert ticks_to(73.7) == [0, 20, 40, 60]
    assert ticks_to(1.0) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])


def points(html: str) -> np.ndarray:
    """Of the first curve, as shares of width and height."""
    given = re.search('<polyline class="A[^"]*" points="([^"]*)"', html)[1]
    x, y = np.array([pair.split(',') for pair in given.split()], float).T
    return np.stack([x / WIDTH, 1 - y / HEIGHT], axis=1)


def test_profile_is_drawn_to_scale():
    colours = np.array([[1, 2, 3]] * 2 + [[4, 5, 6]] * 2, np.uint8)
    html = profile_chart('name', {'A': np.array([0.0, 1.0, 2.0, 4.0])}, colours, 'x')
    expected = [[0.125, 0], [0.375, 0.25], [0.625, 0.5], [0.875, 1]]
    np.testing.assert_allclose(points(html), expected, atol=1e-3)
    np.testing.assert_array_equal(decoded(html, '<image')[0], colours)
    assert 'x in pixels' in html


def test_histogram_is_drawn_to_a_root_scale():
    html = histogram_chart('name', {'A': np.array([0.5, 0.5, 0.5, 0.5, 3.9])}, 4.0)
    drawn = points(html)
    assert len(drawn) == 2 * BINS + 2
    heights = drawn[1:-1:2, 1]
    assert heights[int(0.5 / 4 * BINS)] == 1
    assert heights[int(3.9 / 4 * BINS)] == pytest.approx(0.5, abs=1e-3)  # sqrt(0.2 / 0.8)
    assert heights.sum() == pytest.approx(1.5, abs=1e-3)
    assert '>80 %<' in html


def test_view_states_the_figures(sample):
    settings = dict(
        A=settings_of(dict(kernel_size=1, downsample=1, beta=0.25)),
        B=settings_of(dict(kernel_size=5, sigma=2.5, downsample=2, normalize='mean')),
    )
    html = view(sample, settings, 'row', 0, True)
    # A column of 40 of the 2400 pixels has E = 2.
    assert fact(html, 'A', 'mean') == '0.28 acts like a learning rate x 0.3'
    assert fact(html, 'A', 'below') == '98.3% count less than in cross entropy'
    assert fact(html, 'A', 'range') == '0.25 to 2.25'
    # Its variance is 5 * 2.5 / 2 shrunken pixels.
    assert fact(html, 'B', 'blur') == '10 px, 17% of the longer side; std 5 px'
    assert re.fullmatch(r'1.00 \(x \d\.\d without normalize\)', fact(html, 'B', 'mean'))
    assert 'cross entropy, mean 0.142' in html  # 0.5 * 0.2833, of A
    assert 'Label, 2 classes, 0.0% void' in html
    assert 'Edges E, 1.7% of the pixels' in html
    assert 'downsample=1 does not shrink the edges' in html
    assert 'gaussian, size 1, sigma 3, beta 0.25, downsample 1' in html


def test_cut_beyond_the_label_is_its_last_line(sample):
    assert 'Weights along row y = 39' in view(sample, SAME, 'row', 1000, True)
    html = view(sample, SAME, 'column', 1000, True)
    assert 'Weights along column x = 59' in html
    assert 'class="explore column" data-lines="60" style="--cut:99.17%"' in html


@pytest.mark.parametrize('shape', [(1, 1200), (1200, 1), (2, 1100), (1, 2), (1, 1)])
@pytest.mark.parametrize('value', [0, 255, None])
def test_label_of_one_row_column_or_value(shape, value):
    label = np.arange(np.prod(shape)).reshape(shape) % 3 if value is None else np.full(shape, value)
    sample = LabelSample(label.astype(np.uint8), PALETTE, np.zeros((*shape, 3), np.uint8))
    html = view(sample, SAME, 'row', 0, True)
    if value == 255:
        assert fact(html, 'A', 'mean') == 'none: every pixel is void'
    elif value == 0:
        assert fact(html, 'A', 'range') == '0.50 to 0.50'
        assert fact(html, 'B', 'range') == '0.00 to 0.00'
    assert decoded(html, 'picture label').shape[:2] == {
        (1, 1200): (250, 1000),  # enlarged, so that a row can be seen
        (1200, 1): (1000, 250),
        (2, 1100): (250, 1000),
    }.get(shape, shape)
