"""How good a prediction is at boundaries: geometry, counts and scores of label maps.

Every function takes the maps that :func:`class_maps` returns, in which classes are 0..C-1 and void
is C. Counts are for one image and are added up over images; scores are computed from the sums.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from .label_counts import overlap_counts, ratio_or_nan


def boundary_band(labels: np.ndarray, width: int, *, frame: bool) -> np.ndarray:
    """Pixels at most ``width`` pixels from another label: the geometry of every metric.

    A pixel is in the band if the square window of 2 * width + 1 pixels around it holds another
    label. For each class that is its mask minus the mask eroded ``width`` times by a 3x3 square.
    It is computed for all classes at once: in exactly these windows, the smallest and the largest
    label differ.

    Args:
        labels: Label map, (H, W), uint8 or uint16. Void is a label like the others.
        width: In pixels, 1 or more.
        frame: Whether the frame of the image counts as a boundary.

    Returns:
        (H, W), bool.
    """
    width = min(width, max(labels.shape))
    window = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    lowest, highest = 0, np.iinfo(labels.dtype).max
    beyond = (
        (lowest, highest) if frame else (highest, lowest)
    )  # the latter changes no minimum or maximum
    options: dict[str, Any] = dict(borderType=cv2.BORDER_CONSTANT)
    least = cv2.erode(labels, window, borderValue=beyond[0], **options)
    greatest = cv2.dilate(labels, window, borderValue=beyond[1], **options)
    return least != greatest


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
    band, true_band = (
        np.where(boundary_band(m, width, frame=True), m, num_classes) for m in (prediction, truth)
    )
    return overlap_counts(band, true_band, num_classes)


def trimap_counts(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, widths: Sequence[int]
) -> np.ndarray:
    """Overlap within bands around the boundaries of the truth (trimap; DeepLab, Fig. 10).

    A band, first used by Kohli et al. (IJCV 2009), holds what is at most ``width`` pixels from a
    boundary, on either side; void is not in it. The frame of the image is not a boundary.

    Args:
        prediction: Classes or void, (H, W).
        truth: Classes or void, (H, W).
        num_classes: C.
        widths: In pixels, increasing.

    Returns:
        Counts for :func:`iou`, one row of (3, C) for each width: (len(widths), 3, C).
    """
    bands = [boundary_band(truth, width, frame=False) for width in widths]
    nested = np.stack(bands).sum(axis=0, dtype=np.uint16)  # how many bands a pixel is in
    nested[truth == num_classes] = 0
    rings = (nested == n for n in range(len(widths), 0, -1))  # from the narrowest band outwards
    counts = [overlap_counts(prediction[ring], truth[ring], num_classes) for ring in rings]
    return np.cumsum(counts, axis=0)


def contour_counts(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, tolerance: float = 0.0075
) -> np.ndarray:
    """Contour pixels of each class that have a counterpart (Csurka et al., BMVC 2013).

    The contour of a class is its pixels with another label among their eight neighbours. A
    contour pixel is matched if the other map has one of the same class at a Euclidean distance
    of at most ``tolerance`` times the diagonal. The frame of the image is not a boundary.

    Returns:
        Counts for :func:`boundary_f1`, (6, C) int64: contour pixels of the prediction, how many of
        them are matched, the same two counts for the truth, all predicted and all true pixels.
    """
    contour, true_contour = (
        np.where(boundary_band(m, 1, frame=False), m, num_classes) for m in (prediction, truth)
    )
    radius = tolerance * np.hypot(*truth.shape)
    _, predicted, true = overlap_counts(contour, true_contour, num_classes)
    hits = _matched(contour, true_contour, num_classes, radius)
    found = _matched(true_contour, contour, num_classes, radius)
    _, *areas = overlap_counts(prediction, truth, num_classes)
    return np.stack([predicted, hits, true, found, *areas])


def boundary_f1(counts: np.ndarray) -> np.ndarray:
    """F1 = 2PR / (P + R) of contours: (6, C) -> (C,), NaN for classes in neither map.

    P is the matched share of the predicted contour pixels, R that of the true ones. F1 is 0
    if nothing is matched. If neither map has a contour of the class, because it fills its images,
    F1 is 1 if the class is in both maps and 0 if it is in only one.
    """
    # Products of the counts of a large data set overflow integers.
    predicted, hits, true, found, area, true_area = counts.astype(np.float64)
    # P = hits / predicted and R = found / true, both fractions multiplied out.
    f1 = ratio_or_nan(2 * hits * found, hits * true + found * predicted)
    agreed = (predicted + true == 0) & (area > 0) & (true_area > 0)
    present = area + true_area > 0
    return np.where(present, np.where(hits > 0, f1, agreed), np.nan)


def without_match(
    labels: np.ndarray, other: np.ndarray, none: int, offsets: Iterable[tuple[int, int]]
) -> np.ndarray:
    """Pixels that have no pixel of their label in another map at any of these places.

    The cost is that of the pixels: each is looked at until it has a match, so put near offsets
    first.

    Args:
        labels: (H, W); ``none`` where there is nothing to match.
        other: (H, W); ``none`` where there is nothing that matches.
        none: No label.
        offsets: (y, x), from a pixel to those of the other map that are looked at.

    Returns:
        (H, W), bool.
    """
    offsets = list(offsets)
    reach = max((abs(step) for offset in offsets for step in offset), default=0)
    padded, other = (np.pad(m, reach, constant_values=none) for m in (labels, other))
    row, flat = padded.shape[1], other.ravel()
    places = np.flatnonzero(padded != none)
    wanted = padded.ravel()[places]
    for y, x in offsets:
        unmatched = flat[places + (y * row + x)] != wanted
        places, wanted = places[unmatched], wanted[unmatched]
    alone = np.zeros(padded.shape, bool)
    alone.ravel()[places] = True
    height, width = labels.shape
    return alone[reach : reach + height, reach : reach + width]


def _matched(contour: np.ndarray, other: np.ndarray, num_classes: int, radius: float) -> np.ndarray:
    """Contour pixels of each class, of which both maps hold nothing else, with one in the other."""
    alone = without_match(contour, other, num_classes, _disc(radius))
    every = np.bincount(contour[contour != num_classes], minlength=num_classes)
    return every - np.bincount(contour[alone], minlength=num_classes)


@lru_cache(maxsize=32)
def _disc(radius: float) -> list[tuple[int, int]]:
    """Offsets (y, x) of the pixels whose distance is at most radius, the nearest first."""
    r = range(-int(radius), int(radius) + 1)
    disc = [(y, x) for y in r for x in r if y * y + x * x <= radius**2]
    return sorted(disc, key=lambda offset: offset[0] ** 2 + offset[1] ** 2)
