"""Regions where segmentation is hard: masks by hand and by another route, counts, reports."""

import csv
import io

import cv2
import numpy as np
import pytest
from scipy import ndimage

from mmseg_pacbal.metrics.hard_regions import (
    HARD_REGIONS,
    region_counts,
    region_csv,
    region_masks,
    region_table,
    small_objects,
    thin_parts,
    touching_classes,
)
from mmseg_pacbal.metrics.label_counts import class_maps, overlap_counts

VOID = 255


def truth_map(label: np.ndarray, num_classes: int) -> np.ndarray:
    return class_maps(label, label, num_classes, VOID)[1]


def disc(radius: int) -> np.ndarray:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return y**2 + x**2 <= radius**2


# --- masks ---


def test_near_and_interior_make_up_all_and_void_is_in_none(voc_labels):
    label = next(label.numpy() for label in voc_labels if (label == VOID).any())
    masks = region_masks(truth_map(label, 21), 21)
    assert tuple(masks) == HARD_REGIONS
    assert np.array_equal(masks['all'], label != VOID)
    assert np.array_equal(masks['near boundaries'] ^ masks['interior'], masks['all'])
    assert not any((mask & ~masks['all']).any() for mask in masks.values())
    near = ndimage.binary_dilation(label == VOID, np.ones((17, 17)))
    assert masks['near boundaries'][near & (label != VOID)].all()


def test_background_is_neither_small_nor_thin():
    label = np.ones((20, 20), np.uint8)
    label[8:10, 8:10] = 0
    for background, expected in ((0, 0), (None, 4)):
        masks = region_masks(label, 2, area=100, radius=2, background=background)
        assert masks['small objects'].sum() == expected
        assert masks['thin parts'].sum() == expected


@pytest.mark.parametrize(('width', 'thin'), [(1, True), (8, True), (9, False), (20, False)])
def test_strips_of_fewer_than_9_pixels_are_thin_at_radius_4(width, thin):
    label = np.zeros((60, 60), np.uint8)
    label[:, 20 : 20 + width] = 1
    expected = np.where(label == 1, thin, False)
    assert np.array_equal(thin_parts(label, 4), expected)
    assert np.array_equal(thin_parts(label.T.copy(), 4), expected.T)


def test_a_slanted_contour_is_not_thin():
    y, x = np.mgrid[:80, :80]
    for slope in (0, 0.1, 0.3, 0.5, 1, 2.7):
        assert not thin_parts((y - 40 > slope * (x - 40)).astype(np.uint8), 4).any()


def regions_of_each_class(truth: np.ndarray, area: int, radius: int, width: int) -> list:
    """Small, thin and touching pixels, one label at a time: components and openings of SciPy."""
    small, thin = np.zeros((2, *truth.shape), bool)
    near = np.zeros(truth.shape, int)
    for value in np.unique(truth):
        mask = truth == value
        component, _ = ndimage.label(mask, np.ones((3, 3)))
        small |= mask & (np.bincount(component.ravel())[component] < area)
        centres = ndimage.binary_erosion(mask, disc(radius), border_value=1)
        thin |= mask & ~ndimage.binary_dilation(centres, disc(radius + 1))
        near += ndimage.binary_dilation(mask, np.ones((2 * width + 1, 2 * width + 1)))
    return [small, thin, near >= 3]


@pytest.mark.parametrize('radius', [1, 4])
def test_real_masks_by_another_route(camvid_labels, radius):
    for label in camvid_labels[:2]:
        truth = truth_map(label.numpy(), 11)
        small, thin, _ = regions_of_each_class(truth, 1024, radius, 1)
        assert np.array_equal(thin_parts(truth, radius), thin)
        assert np.array_equal(small_objects(truth, 1024), small)


@pytest.mark.parametrize('seed', range(12))
def test_random_masks_by_another_route(seed):
    """Blocks and noise: diagonals that cross, spirals of components, windows beyond the image."""
    rng = np.random.default_rng(seed)
    classes, cell = rng.integers(1, 9), rng.integers(1, 6)
    height, width = rng.integers(1, 40, 2)
    truth = rng.integers(0, classes, (40, 40)).repeat(cell, 0).repeat(cell, 1)
    truth = truth[:height, :width].astype((np.uint8, np.uint16)[seed % 2])
    noise = rng.random(truth.shape) < 0.05
    truth[noise] = rng.integers(0, classes, noise.sum())
    area, radius, reach = rng.integers((2, 1, 1), (40, 6, 12)).tolist()
    small, thin, touching = regions_of_each_class(truth, area, radius, reach)
    assert np.array_equal(small_objects(truth, area), small)
    assert np.array_equal(thin_parts(truth, radius), thin)
    assert np.array_equal(touching_classes(truth, classes, reach, None), touching)


def test_cost_does_not_grow_with_the_number_of_classes(monkeypatch):
    """OpenCV reads the image so many times, whether it has 2 classes or 1,000."""
    calls = []

    class Counted:
        def __getattr__(self, name: str) -> object:
            function = getattr(cv2, name)
            called = lambda *a, **k: calls.append(name) or function(*a, **k)  # noqa: E731
            return called if callable(function) else function

    monkeypatch.setattr('mmseg_pacbal.metrics.hard_regions.cv2', Counted())
    numbers = []
    for classes in (2, 1000):
        truth = np.random.default_rng(0).integers(0, classes, (40, 50)).astype(np.uint16)
        calls.clear()
        region_counts(truth, truth, classes)
        numbers.append(len(calls))
    assert 0 < numbers[0] == numbers[1]


def test_touching_classes_by_hand():
    # On background 0: class 1 in columns 5..14, class 2 in columns 21..29, six columns apart.
    label = np.zeros((30, 40), np.uint8)
    label[10:20, 5:15] = 1
    label[10:20, 21:30] = 2
    # Class 1 reaches column 14 + 4, class 2 begins at 21 - 4; the rows are 10 - 4 .. 19 + 4.
    expected = np.zeros(label.shape, bool)
    expected[6:24, 17:19] = True
    assert np.array_equal(touching_classes(label, 3, 4, background=0), expected)
    assert not touching_classes(label, 3, 3, background=0).any()
    # Without a background three classes are required: here the background counts as one.
    assert np.array_equal(touching_classes(label, 3, 4, background=None), expected)
    label[label == 0] = 3  # void
    assert np.array_equal(touching_classes(label, 3, 4, background=0), expected)
    assert not touching_classes(label, 3, 4, background=None).any()


# --- counts ---


def test_counts_of_regions(camvid_labels):
    label = camvid_labels[0].numpy()
    prediction, truth = class_maps(np.roll(np.where(label == VOID, 0, label), 3, 1), label, 11)
    counts = dict(zip(HARD_REGIONS, region_counts(prediction, truth, 11), strict=True))
    assert np.array_equal(counts['all'], overlap_counts(prediction, truth, 11))
    assert np.array_equal(counts['near boundaries'] + counts['interior'], counts['all'])
    for region, mask in region_masks(truth, 11).items():
        for c in range(11):
            predicted, true = mask & (prediction == c), mask & (truth == c)
            expected = [(predicted & true).sum(), predicted.sum(), true.sum()]
            assert counts[region][:, c].tolist() == expected


# --- reports ---


def make_totals() -> dict[str, np.ndarray]:
    """Two models, two classes; nothing is thin, and only class 0 is small."""
    first = np.zeros((len(HARD_REGIONS), 3, 2), np.int64)
    first[:, 2] = [[60, 40], [20, 20], [40, 20], [5, 0], [0, 0], [10, 10]]
    second = first.copy()
    for total, right in ((first, [50, 30]), (second, [55, 35])):
        wrong = [60 - right[0], 40 - right[1]]
        total[0, 0], total[0, 1] = right, [right[0] + wrong[1], right[1] + wrong[0]]
        total[1:, 0] = total[1:, 1] = total[1:, 2]
    return {'base': first, 'ours': second}


def table_of(text: str) -> dict[str, list[str]]:
    lines = [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines()]
    return {line[0]: line[1:] for line in lines}


def test_table_of_models():
    table = table_of(region_table({'base': make_totals()['base']}))
    assert table['region'] == ['pixels', 'mIoU base', 'mAcc base', 'errors base']
    # IoU 50 / 70 and 30 / 50, accuracy 50 / 60 and 30 / 40, 20 of 100 pixels wrong.
    assert table['all'] == ['100.00', '65.71', '79.17', '20.00']
    assert table['near boundaries'] == ['40.00', '100.00', '100.00', '0.00']
    assert table['thin parts'] == ['0.00', '-', '-', '0.00']
    table = table_of(region_table(make_totals()))
    measures = ('mIoU', 'mAcc', 'errors')
    heads = [f'{measure} {name}' for measure in measures for name in ('base', 'ours', 'difference')]
    assert table['region'] == ['pixels', *heads]
    # 55 / 65 and 35 / 45; 55 / 60 and 35 / 40; 10 of 100.
    assert table['all'][1:4] == ['65.71', '81.20', '+15.48']
    assert table['all'][4:7] == ['79.17', '89.58', '+10.42']
    assert table['all'][7:] == ['20.00', '10.00', '-10.00']
    assert table['thin parts'][1:4] == ['-', '-', '-']


def test_csv_has_every_class():
    lines = list(csv.DictReader(io.StringIO(region_csv(make_totals(), ['a, b', 'c']))))
    assert len(lines) == 2 * len(HARD_REGIONS) * 3
    assert list(lines[0].values()) == ['base', 'all', 'a, b', '60', '50', '71.43', '83.33']
    assert list(lines[2].values()) == ['base', 'all', 'mean', '100', '80', '65.71', '79.17']
    small = [
        line for line in lines if line['model'] == 'ours' and line['region'] == HARD_REGIONS[3]
    ]
    assert [line['IoU'] for line in small] == ['100.00', '', '100.00']
