"""Pictures, charts and words are those of the settings."""

import base64
import re

import cv2
import numpy as np
import pytest

from mmseg_pacbal.apps.explore.charts import histogram_chart, profile_chart, ticks_to
from mmseg_pacbal.apps.explore.pictures import (
    GREYS,
    LONGEST,
    data_uri,
    edge_picture,
    heat_picture,
    label_picture,
    overlay,
)
from mmseg_pacbal.apps.explore.samples import LabelSample, full_palette
from mmseg_pacbal.apps.explore.settings import settings_of
from mmseg_pacbal.apps.explore.view import ProfileLine, best_cut, message, view

PALETTE = full_palette([(10, 20, 30), (200, 100, 50)])


@pytest.fixture
def sample() -> LabelSample:
    label = np.zeros((40, 60), np.uint8)
    label[:, 30:] = 1
    image = np.full((40, 60, 3), 90, np.uint8)
    return LabelSample('<b>.png', label, PALETTE, image, np.full((40, 60), 0.5, np.float32))


def decoded(address: str) -> np.ndarray:
    """RGB."""
    data = np.frombuffer(base64.b64decode(address.partition('base64,')[2]), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def fact(html: str, side: str, key: str) -> str:
    card = html[html.index(f'class="card {side}"') :]
    return re.sub('<[^>]*>', '', re.search(f'data-fact="{key}">(.*?)</dd>', card)[1])


def test_pictures_of_labels_are_exact(sample):
    picture = label_picture(sample, 255)
    assert picture[0, 0].tolist() == [10, 20, 30]
    assert picture[0, 59].tolist() == [200, 100, 50]
    address = data_uri(picture, exact=True)
    assert address.startswith('data:image/png;base64,')
    np.testing.assert_array_equal(decoded(address), picture)


def test_edges_are_shades_of_grey():
    assert edge_picture(np.array([[0.0, 1.0, 2.0, 3.0]])).tolist() == [GREYS.tolist()]


def test_heat_goes_from_dark_to_bright():
    picture = heat_picture(np.array([[0.0, 1.0, 2.0, 9.0]]), top=2.0).astype(int).sum(2)[0]
    assert picture[0] < 30 < picture[1] < picture[2] == picture[3]
    assert heat_picture(np.zeros((1, 1)), top=0.0).sum() < 30


def test_weights_lie_over_the_image_or_the_label(sample):
    none = np.zeros((40, 60), np.float32)
    over = overlay(sample, none, 1.0, 255)
    assert over.shape == (40, 60, 3)
    assert np.ptp(over.astype(int)[..., 0]) == 0  # the image is even
    alone = LabelSample('a', sample.label, PALETTE)
    assert np.ptp(overlay(alone, none, 1.0, 255).astype(int)[..., 0]) > 20  # the classes differ


def test_large_pictures_are_shrunk():
    picture = np.zeros((500, 2000, 3), np.uint8)
    assert decoded(data_uri(picture)).shape == (250, LONGEST, 3)


def test_ticks_are_round():
    assert ticks_to(73.7, 4) == [0, 20, 40, 60]
    assert ticks_to(1.0, 4) == [0, 0.25, 0.5, 0.75, 1.0]


def test_profile_is_drawn_to_scale():
    colours = np.array([[1, 2, 3]] * 2 + [[4, 5, 6]] * 2, np.uint8)
    html = profile_chart({'A': np.array([0.0, 1.0, 2.0, 4.0])}, colours, 4.0, 'x', 'name')
    assert '<polyline class="A" points="125.0,1000.0 375.0,750.0 625.0,500.0 875.0,0.0"/>' in html
    strip = decoded(re.search('class="strip" src="([^"]*)"', html)[1])
    np.testing.assert_array_equal(strip[0], colours)
    assert 'x in pixels' in html


def test_histogram_is_drawn_to_a_root_scale():
    html = histogram_chart({'A': np.array([0.8, 0.2])}, 4.0, 'name')
    assert 'points="0.0,0.0 500.0,0.0 500.0,500.0 1000.0,500.0"' in html  # sqrt(0.2/0.8) = 0.5
    assert '>80 %<' in html


def test_view_states_the_figures(sample):
    settings = dict(
        A=settings_of(dict(kernel_size=1, downsample=1, beta=0.25)),
        B=settings_of(dict(kernel_size=5, sigma=2.5, downsample=2, normalize='mean')),
    )
    html = view(sample, settings, best_cut(sample))
    # A column of 40 of the 2400 pixels has E = 2.
    assert fact(html, 'A', 'mean') == '0.28 acts like a learning rate x 0.3'
    assert fact(html, 'A', 'below') == '98.3% count less than in cross entropy'
    assert fact(html, 'A', 'range') == '0.25 to 2.25'
    # Its variance is 5 * 2.5 / 2 shrunken pixels.
    assert fact(html, 'B', 'blur') == '10 px, 17% of the longer side; std 5 px'
    assert fact(html, 'B', 'mean').startswith('1.00 ')
    assert 'cross entropy, mean 0.142' in html  # 0.5 * 0.2833, of A
    assert 'Label, 2 classes, 0.0% void' in html
    assert 'downsample=1 does not shrink the edges' in html
    assert '<b>.png' not in html


def test_cut_beyond_the_label_is_its_last_line(sample):
    settings = dict.fromkeys('AB', settings_of({}))
    assert 'Weights along row y = 39' in view(sample, settings, ProfileLine(1000))
    assert 'Weights along column x = 59' in view(sample, settings, ProfileLine(1000, column=True))


@pytest.mark.parametrize('shape', [(1, 1200), (1200, 1), (2, 1100), (1, 2), (1, 1)])
@pytest.mark.parametrize('value', [0, 255, None])
def test_label_of_one_row_or_column(shape, value):
    label = np.arange(np.prod(shape)).reshape(shape) % 3 if value is None else np.full(shape, value)
    sample = LabelSample('a', label.astype(np.uint8), PALETTE, np.zeros((*shape, 3), np.uint8))
    settings = dict(A=settings_of({}), B=settings_of(dict(beta=0, normalize='mean')))
    html = view(sample, settings, best_cut(sample, column=shape[0] > 1))
    mean = 'none: every pixel is void' if value == 255 else r'\d'
    assert re.match(mean, fact(html, 'A', 'mean'))
    address = re.search('src="([^"]*)" alt="label"', html)[1]
    assert decoded(address).shape[:2] == {
        (1, 1200): (250, 1000),  # enlarged, so that a row can be seen
        (1200, 1): (1000, 250),
        (2, 1100): (250, 1000),
    }.get(shape, shape)


@pytest.mark.parametrize('value', [0, 255])
def test_label_of_one_value(value):
    sample = LabelSample('a', np.full((5, 7), value, np.uint8), PALETTE)
    settings = dict(A=settings_of({}), B=settings_of(dict(beta=0, normalize='mean')))
    html = view(sample, settings, best_cut(sample))
    if value == 255:
        assert fact(html, 'A', 'mean') == 'none: every pixel is void'
    else:
        assert fact(html, 'A', 'range') == '0.50 to 0.50'
        assert fact(html, 'B', 'range') == '0.00 to 0.00'


def test_names_of_files_are_no_html():
    assert message('<img src=x>', mistake=True).count('<') == 2
    assert 'role="alert"' in message('x', mistake=True)
    assert message('') == ''
