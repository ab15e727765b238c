"""Boundary measures: numbers by hand, slow independent forms, void, absent classes."""

import numpy as np
import pytest

from mmseg_pacbal.metrics.boundary_quality import (
    boundary_band,
    boundary_f1,
    boundary_iou_counts,
    contour_counts,
    trimap_counts,
)
from mmseg_pacbal.metrics.label_counts import class_maps, iou, label_counts
from tests.metrics.reference import (
    boundary_iou_reference,
    contour_reference,
    f1_reference,
    trimap_reference,
)

VOID = 255
WIDTHS = (1, 2, 4, 8, 16, 32)


def scores(prediction: np.ndarray, truth: np.ndarray, num_classes: int, **shares) -> dict:
    """Every measure of one image, (C,) each."""
    maps = class_maps(prediction, truth, num_classes, VOID)
    ratio, tolerance = shares.get('ratio', 0.02), shares.get('tolerance', 0.0075)
    return {
        'BIoU': iou(boundary_iou_counts(*maps, num_classes, ratio)),
        'trimap': iou(trimap_counts(*maps, num_classes, WIDTHS)),
        'BF1': boundary_f1(contour_counts(*maps, num_classes, tolerance)),
    }


def square(size: int, top: int, left: int, side: int) -> np.ndarray:
    label = np.zeros((size, size), np.uint8)
    label[top : top + side, left : left + side] = 1
    return label


def halves(height: int, width: int, first: int) -> np.ndarray:
    """Class 0 in the first columns, class 1 in the others."""
    label = np.ones((height, width), np.uint8)
    label[:, :first] = 0
    return label


def shaken(label: np.ndarray, seed: int = 0) -> np.ndarray:
    """A plausible prediction: the label moved by (2, 3), void filled, blocks of other classes."""
    rng = np.random.default_rng(seed)
    prediction = np.roll(label, (2, 3), (0, 1))
    prediction = np.where(prediction == VOID, rng.integers(0, 3), prediction)
    for _ in range(5):
        y, x = rng.integers(0, label.shape[0] - 20), rng.integers(0, label.shape[1] - 20)
        prediction[y : y + 20, x : x + 9] = rng.integers(0, 11)
    return prediction


# --- the geometry ---


def test_band_by_hand():
    label = np.zeros((5, 6), np.uint8)
    label[1:4, 4:] = 1
    expected = np.zeros((5, 6), bool)
    expected[:, 3:] = True  # class 0 beside, above and below the object, and the object ...
    expected[2, 5] = False  # ... but for its one pixel whose neighbours are all of its class
    assert np.array_equal(boundary_band(label, 1, frame=False), expected)
    expected[[0, 4]] = expected[:, 0] = expected[2, 5] = True  # it touches the frame
    assert np.array_equal(boundary_band(label, 1, frame=True), expected)


@pytest.mark.parametrize('shape', [(1, 1), (1, 7), (7, 1), (3, 5)])
def test_band_wider_than_the_image(shape):
    label = np.full(shape, 255, np.uint8)
    assert not boundary_band(label, 1000, frame=False).any()
    assert boundary_band(label, 1000, frame=True).all()
    label.flat[-1] = 1
    assert boundary_band(label, 1000, frame=False).all() == (label.size > 1)


# --- numbers by hand ---


def test_boundary_iou_of_a_square_moved_by_one():
    result = scores(square(10, 3, 4, 4), square(10, 3, 3, 4), 2)['BIoU']  # d = 1
    # Class 1: rings of 12 pixels that share 6. Class 0: the frame's 36 and a ring of 20 around
    # the square each, which share the frame and 10 pixels.
    assert result.tolist() == pytest.approx([46 / 66, 6 / 18])


def test_width_of_the_band_is_rounded_and_at_least_one():
    # Diagonal 50: d = round(0.05 * 50 = 2.5) = 2, to even as Python and the authors' code round.
    label = np.zeros((30, 40), np.uint8)
    counts = [boundary_iou_counts(label, label, 1, ratio)[2, 0] for ratio in (1e-6, 0.05, 0.06)]
    assert counts == [30 * 40 - (30 - 2 * d) * (40 - 2 * d) for d in (1, 2, 3)]


@pytest.mark.parametrize('k', [0, 1, 3])
def test_trimap_of_an_edge_moved_by_k(k):
    result = scores(halves(8, 80, 40 + k), halves(8, 80, 40), 2)['trimap']
    for width, (left, right) in zip(WIDTHS, result, strict=True):
        wrong = min(k, width)  # columns of the band that are predicted 0 instead of 1
        assert left == pytest.approx(width / (width + wrong))
        assert right == pytest.approx((width - wrong) / width)


@pytest.mark.parametrize(('k', 'f1'), [(0, 1), (3, 1), (4, 0)])
def test_f1_of_an_edge_moved_by_k(k, f1):
    # Diagonal 500, tolerance 3.75 pixels.
    assert scores(halves(300, 400, 200 + k), halves(300, 400, 200), 2)['BF1'].tolist() == [f1] * 2


def test_tolerance_is_euclidean_and_inclusive():
    truth, prediction = np.zeros((2, 30, 40), np.uint8)  # diagonal 50
    truth[10, 10] = prediction[13, 14] = 1  # 5 pixels away
    assert scores(prediction, truth, 2, tolerance=0.1)['BF1'][1] == 1
    assert scores(prediction, truth, 2, tolerance=0.0999)['BF1'][1] == 0


def test_f1_adds_up_over_images_and_is_no_mean_of_images():
    truth = square(40, 5, 5, 4)
    right = contour_counts(truth, truth, 2)
    missed = contour_counts(np.zeros_like(truth), truth, 2)
    assert boundary_f1(right)[1] == 1
    assert boundary_f1(missed)[1] == 0
    # Precision 12/12, recall 12/24: 2/3, where the mean of the two images would be 1/2.
    assert boundary_f1(right + missed)[1] == pytest.approx(2 / 3)
    # Sums of a very large data set, of precision and recall 1/2, and without contours.
    counts = np.array([[4, 2, 2, 1, 4, 4], [0, 0, 0, 0, 1, 1]]).T * 10**10
    assert boundary_f1(counts).tolist() == [0.5, 1]


def test_counts_of_more_pixels_than_a_float32_holds():
    labels = np.zeros(2**24 + 5, np.uint8)
    labels[-1] = 7  # void
    for dtype in (np.uint8, np.uint16):
        assert label_counts(labels.astype(dtype), 7).tolist() == [2**24 + 4, *[0] * 6]
    assert label_counts(labels[:0], 7).tolist() == [0] * 7


# --- slow independent forms ---


def assert_as_reference(prediction, truth, num_classes, ratio=0.02, tolerance=0.0075):
    options = dict(num_classes=num_classes, ignore_index=VOID)
    maps = class_maps(prediction, truth, num_classes, VOID)
    expected = boundary_iou_reference(prediction, truth, ratio=ratio, **options)
    assert np.array_equal(boundary_iou_counts(*maps, num_classes, ratio), expected)
    found = trimap_counts(*maps, num_classes, WIDTHS)
    for counts, width in zip(found, WIDTHS, strict=True):
        expected = trimap_reference(prediction, truth, width=width, **options)
        assert np.array_equal(counts, expected)
    found = contour_counts(*maps, num_classes, tolerance)
    expected = contour_reference(prediction, truth, share=tolerance, **options)
    assert np.array_equal(found[:4], expected)
    has_contour = expected[[0, 2]].any(0)
    f1 = np.where(has_contour, boundary_f1(found), np.nan)
    np.testing.assert_allclose(f1, f1_reference(expected), rtol=1e-12)


@pytest.mark.parametrize('seed', range(12))
def test_random_labels(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 40, 2))
    cell = rng.integers(1, 6)

    def blocks() -> np.ndarray:
        label = rng.integers(0, 6, (40, 40)).repeat(cell, 0).repeat(cell, 1)
        return label[: shape[0], : shape[1]].astype(np.uint8)

    prediction, truth = blocks(), blocks()
    truth[truth == 5] = VOID
    prediction[rng.random(shape) < 0.7] = 0
    prediction[prediction == 5] = 1
    assert_as_reference(prediction, truth, 5, ratio=0.06, tolerance=0.1)


def test_real_labels(voc_labels, camvid_labels):
    rimmed = next(label for label in voc_labels if (label == VOID).any())
    plain = next(label for label in voc_labels if not (label == VOID).any())
    for label in (rimmed.numpy(), plain.numpy(), camvid_labels[0].numpy()):
        assert_as_reference(shaken(label), label, 21)
        expected = scores(shaken(label), label, 21)
        noise = np.random.default_rng(1).integers(0, 11, label.shape)
        found = scores(np.where(label == VOID, noise, shaken(label)), label, 21)
        for name, score in expected.items():  # nothing depends on what is predicted inside void
            np.testing.assert_array_equal(found[name], score)


# --- void ---


def rimmed_square() -> np.ndarray:
    """An object of 10 x 10 pixels with a void rim of 5, as VOC draws it."""
    return np.where(square(40, 10, 10, 20) - square(40, 15, 15, 10), VOID, square(40, 15, 15, 10))


@pytest.mark.parametrize('grown', [0, 2, 5])
def test_an_edge_anywhere_inside_the_rim_is_right(grown):
    prediction = square(40, 15 - grown, 15 - grown, 10 + 2 * grown)
    for name, score in scores(prediction, rimmed_square(), 2).items():
        assert np.nanmin(score) == 1, name


def test_a_class_has_a_boundary_against_void():
    truth = rimmed_square()
    missed = scores(np.zeros_like(truth), truth, 2)
    assert missed['BIoU'][1] == missed['BF1'][1] == 0
    _, truth_map = class_maps(truth, truth, 2, VOID)
    contour = contour_counts(truth_map, truth_map, 2)
    # 36 pixels of the object; of the background the ring around the rim, 4 * 20 + 4.
    assert contour[2].tolist() == [84, 36]


# --- labels as they come ---


def test_more_classes_than_a_byte_holds(voc_labels):
    label = voc_labels[0].numpy()
    few = scores(shaken(label), label, 21)
    spread = np.where(label == VOID, VOID, label.astype(np.int64) * 40)
    prediction = shaken(label).astype(np.int64) * 40
    maps = class_maps(prediction, np.where(label == VOID, -1, spread), 801, -1)
    assert maps[0].dtype == np.uint16
    many = iou(boundary_iou_counts(*maps, 801))[::40]
    np.testing.assert_array_equal(many, few['BIoU'])
    many = boundary_f1(contour_counts(*maps, 801))[::40]
    np.testing.assert_array_equal(many, few['BF1'])


@pytest.mark.parametrize(
    ('prediction', 'truth', 'message'),
    [
        (np.zeros((4, 5)), np.zeros((4, 6)), r'got \(4, 5\) and \(4, 6\)'),
        (np.zeros((1, 4, 5)), np.zeros((1, 4, 5)), r'the same size \(H, W\), but got \(1, 4, 5\)'),
        (np.zeros((4, 5)), np.full((4, 5), 3), 'label holds 3, but accepted are classes 0..2 and'),
        (np.zeros((4, 5)), np.full((4, 5), -1), 'label holds -1'),
        (np.full((4, 5), 3), np.zeros((4, 5)), 'prediction holds 3, but accepted are classes 0..2'),
    ],
)
def test_mistake_is_one_sentence(prediction, truth, message):
    with pytest.raises(ValueError, match=message):
        class_maps(prediction.astype(int), truth.astype(int), 3, VOID)
