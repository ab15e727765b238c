"""How good a prediction is at boundaries: geometry, counts and scores of label maps.

Counts are of one image and add up over images; a score is made of their sum. Every function
takes what :func:`class_maps` returns: classes are 0..C-1 and void is C, in both maps.
"""

from collections.abc import Sequence

import cv2
import numpy as np


def class_maps(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, ignore_index: int = 255
) -> tuple[np.ndarray, np.ndarray]:
    """Bring prediction and truth to one form: classes 0..C-1, void C where the truth is void.

    A prediction inside void is neither right nor wrong: it is made void here, before anything
    is measured, so that no score depends on it. A boundary between a class and void stays one.

    Args:
        prediction: Classes, (H, W), integers.
        truth: Classes or void, (H, W), integers.
        num_classes: C.
        ignore_index: The void label of the truth.

    Returns:
        Prediction and truth, (H, W), uint8 (uint16 for more than 255 classes).

    Raises:
        ValueError: Sizes differ, or a value is neither a class nor (in the truth) void.
    """
    if prediction.shape != truth.shape or truth.ndim != 2:
        raise ValueError(
            f'prediction and label must be of one size (H, W), but got {prediction.shape} and '
            f'{truth.shape}; evaluate at the size of the label'
        )
    void = truth == ignore_index
    _check_range('label', truth[~void], num_classes, f' and ignore_index={ignore_index}')
    _check_range('prediction', prediction[~void], num_classes, '')
    dtype = np.uint8 if num_classes < 256 else np.uint16
    return tuple(np.where(void, num_classes, m).astype(dtype) for m in (prediction, truth))


def boundary_band(labels: np.ndarray, width: int, *, frame: bool) -> np.ndarray:
    """Pixels at most ``width`` pixels from another label: the geometry of every measure.

    A pixel is in the band where the square window of 2 * width + 1 pixels around it holds a
    label other than its own. That is each class's mask minus its erosion, ``width`` times by a
    3x3 square, for all classes at once: the least and the greatest label of a window differ
    exactly there.

    Args:
        labels: Label map, (H, W), uint8 or uint16. Void is a label like the others.
        width: In pixels, 1 or more.
        frame: Whether the frame of the image is a boundary.

    Returns:
        (H, W), bool.
    """
    width = min(width, max(labels.shape))
    window = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    lowest, highest = 0, np.iinfo(labels.dtype).max
    beyond = (lowest, highest) if frame else (highest, lowest)  # the latter never decides
    options = dict(borderType=cv2.BORDER_CONSTANT)
    least = cv2.erode(labels, window, borderValue=beyond[0], **options)
    greatest = cv2.dilate(labels, window, borderValue=beyond[1], **options)
    return least != greatest


def overlap_counts(prediction: np.ndarray, truth: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels of each class: (3, C) int64 with rows intersection, predicted, true."""
    n = num_classes + 1
    pairs = np.bincount((truth.astype(np.intp) * n + prediction).ravel(), minlength=n * n)
    pairs = pairs.reshape(n, n)  # confusion matrix, void last
    return np.stack([pairs.diagonal(), pairs.sum(0), pairs.sum(1)])[:, :num_classes]


def boundary_iou_counts(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, ratio: float = 0.02
) -> np.ndarray:
    """Overlap of the inner bands of prediction and truth (Cheng et al., CVPR 2021, Eq. 2).

    A band is d = max(1, round(ratio * diagonal)) pixels wide; the frame of the image counts as
    a boundary, as in the authors' code.

    Returns:
        Counts for :func:`iou`, (3, C).
    """
    width = max(1, round(ratio * np.hypot(*truth.shape)))
    bands = [
        np.where(boundary_band(m, width, frame=True), m, num_classes) for m in (prediction, truth)
    ]
    return overlap_counts(*bands, num_classes)


def trimap_counts(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, widths: Sequence[int]
) -> np.ndarray:
    """Overlap within bands around the boundaries of the truth (trimap; DeepLab, Fig. 10).

    A band holds what is at most ``width`` pixels from a boundary, on either side; void is not
    in it. The frame of the image is no boundary.

    Returns:
        Counts for :func:`iou`, one row of (3, C) for each width: (len(widths), 3, C).
    """
    counts = []
    for width in widths:
        band = boundary_band(truth, width, frame=False) & (truth != num_classes)
        counts.append(overlap_counts(prediction[band], truth[band], num_classes))
    return np.stack(counts)


def contour_counts(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, tolerance: float = 0.0075
) -> np.ndarray:
    """Contour pixels of each class that have a counterpart (Csurka et al., BMVC 2013).

    The contour of a class is its pixels with another label among their eight neighbours. A
    contour pixel is matched where the other map has one of the same class at a Euclidean
    distance of at most ``tolerance`` times the diagonal. The frame of the image is no boundary.

    Returns:
        Counts for :func:`boundary_f1`, (6, C) int64: contour pixels of the prediction, those of
        them that are matched, the same two of the truth, all pixels predicted, all true.
    """
    contours = [
        np.where(boundary_band(m, 1, frame=False), m, num_classes) for m in (prediction, truth)
    ]
    disc = _disc(tolerance * np.hypot(*truth.shape))
    _, predicted, true = overlap_counts(*contours, num_classes)
    matched = np.zeros((2, num_classes), np.int64)
    for c in np.flatnonzero(predicted * true):
        matched[:, c] = _matches(*((contour == c).view(np.uint8) for contour in contours), disc)
    _, *areas = overlap_counts(prediction, truth, num_classes)
    return np.stack([predicted, matched[0], true, matched[1], *areas])


def iou(counts: np.ndarray) -> np.ndarray:
    """Intersection over union: (..., 3, C) -> (..., C), NaN for classes in neither map."""
    intersection, predicted, true = np.moveaxis(counts, -2, 0)
    return _divide(intersection, predicted + true - intersection)


def boundary_f1(counts: np.ndarray) -> np.ndarray:
    """F1 = 2PR / (P + R) of contours: (6, C) -> (C,), NaN for classes in neither map.

    P is the matched share of the predicted contour pixels, R that of the true ones. F1 is 0
    where nothing is matched. Where neither map has a contour (the class fills its images), it
    is 1 if the class is in both maps and 0 if it is in one only.
    """
    predicted, hits, true, found, area, true_area = counts
    # P = hits / predicted and R = found / true, both fractions multiplied out.
    f1 = _divide(2 * hits * found, hits * true + found * predicted)
    unmatched = (predicted + true == 0) & (area * true_area > 0)
    present = area + true_area > 0
    return np.where(present, np.where(hits > 0, f1, unmatched), np.nan)


def _matches(predicted: np.ndarray, true: np.ndarray, disc: np.ndarray) -> tuple[int, int]:
    """Pixels of two contours, (H, W) 0/1, that lie within a disc of one of the other."""
    x, y, width, height = cv2.boundingRect(predicted | true)
    predicted, true = (m[y : y + height, x : x + width] for m in (predicted, true))
    return tuple(
        np.count_nonzero(a & cv2.dilate(b, disc)) for a, b in ((predicted, true), (true, predicted))
    )


def _disc(radius: float) -> np.ndarray:
    """Every pixel whose distance from the centre is at most radius, uint8 0/1."""
    r = np.arange(-int(radius), int(radius) + 1)
    return (r[:, None] ** 2 + r**2 <= radius**2).astype(np.uint8)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Their ratio, NaN where the denominator is 0."""
    nan = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=nan, where=denominator > 0)


def _check_range(name: str, values: np.ndarray, num_classes: int, void: str) -> None:
    wrong = values[(values < 0) | (values >= num_classes)]
    if wrong.size:
        raise ValueError(
            f'{name} holds {wrong[0]}, but accepted are classes 0..{num_classes - 1}{void}; '
            'check the masks of the data set and num_classes of the model'
        )
