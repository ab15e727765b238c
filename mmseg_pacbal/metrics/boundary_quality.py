"""Boundary IoU, trimap mIoU and boundary F1: geometry, counts and scores.

Counts are of an image or a batch and are added up over batches and processes; scores are computed
from the sums. NumPy label maps, (H, W), are those of :func:`class_maps`: classes 0..C-1, void C.
"""

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from ..ops.arguments import Accepted, check_tensor, is_int, is_number
from .label_counts import (
    class_maps,
    iou,
    label_counts,
    overlap_counts,
    ratio_or_nan,
    reject_nan,
)

Counts = dict[str, np.ndarray]

_SHARE = Accepted(
    "a share of the image's diagonal, above 0 and at most 1",
    lambda value: is_number(value) and 0 < value <= 1,
)
_WIDTHS = Accepted(
    'increasing positive integers, in pixels, such as (1, 2, 4)',
    lambda value: (
        isinstance(value, Sequence)
        and len(value) > 0
        and all(is_int(width) for width in value)
        and all(a < b for a, b in itertools.pairwise([0, *value]))
    ),
)
ACCEPTED = dict(ratio=_SHARE, widths=_WIDTHS, tolerance=_SHARE)


def batch_counts(
    preds: Tensor, target: Tensor, num_classes: int, ignore_index: int | None, **settings: Any
) -> Counts:
    """Counts of a batch, with the ``settings`` of :func:`boundary_counts`.

    ``preds`` are logits, floating point, (N, C, H, W), or classes, (N, H, W), and ``target`` is
    classes or void, (N, H, W); TypeError or ValueError for anything else.
    """
    check_batch(preds, target, num_classes)
    is_logits = preds.ndim == 4
    classes = preds.argmax(dim=1) if is_logits else preds
    nan = (preds.amax(dim=1) if is_logits else preds).isnan()  # the greatest of NaN is NaN
    images = zip(*(maps.detach().cpu().numpy() for maps in (classes, target, nan)), strict=True)
    total = no_counts(num_classes, settings['widths'])
    for index, (prediction, truth, no_class) in enumerate(images):
        try:
            maps = class_maps(prediction, truth, num_classes, ignore_index)
            reject_nan(no_class & (maps[1] != num_classes))
        except ValueError as error:
            raise ValueError(f'image {index} of the batch: {error}') from error
        for name, count in boundary_counts(*maps, num_classes, **settings).items():
            total[name] += count
    return total


def check_batch(preds: Tensor, target: Tensor, num_classes: int) -> None:
    """Raise TypeError or ValueError unless shapes and dtypes are those of :func:`batch_counts`."""
    check_tensor('preds', preds)
    check_tensor('target', target)
    got = [f'{str(t.dtype).removeprefix("torch.")} {tuple(t.shape)}' for t in (preds, target)]
    if target.ndim != 3 or not _holds_integers(target) or 0 in target.shape[1:]:
        raise ValueError(
            f'target must hold classes as integers, (N, H, W), but got {got[1]}; target.squeeze(1) '
            'removes a channel, target.argmax(1) converts one-hot labels'
        )
    is_logits = preds.ndim == 4 and preds.is_floating_point() and preds.shape[1] == num_classes
    if not is_logits and not (preds.ndim == 3 and _holds_integers(preds)):
        raise ValueError(
            f'preds must be logits, floating point, (N, C, H, W), with C = num_classes = '
            f'{num_classes}, or classes as integers, (N, H, W), but got {got[0]}; with '
            'one logit for each pixel, give (preds > 0).squeeze(1)'
        )
    if preds.shape[0] != target.shape[0] or preds.shape[-2:] != target.shape[-2:]:
        raise ValueError(
            f'preds and target must have the same N, H and W, but got {tuple(preds.shape)} and '
            f'{tuple(target.shape)}; resize logits to the size of the label, with '
            'torch.nn.functional.interpolate'
        )


def no_counts(num_classes: int, widths: Sequence[int]) -> Counts:
    """The counts before the first image: zeros, in the shapes of :func:`boundary_counts`."""
    shapes = dict(band=(3,), trimap=(len(widths), 3), contour=(6,))
    return {name: np.zeros((*shape, num_classes), np.int64) for name, shape in shapes.items()}


def boundary_counts(
    prediction: np.ndarray,
    truth: np.ndarray,
    num_classes: int,
    *,
    ratio: float,
    widths: Sequence[int],
    tolerance: float,
) -> Counts:
    """What all three measures count in one image, as int64."""
    maps = (prediction, truth, num_classes)
    return dict(
        band=boundary_iou_counts(*maps, ratio),  # (3, C)
        trimap=trimap_counts(*maps, widths),  # (len(widths), 3, C)
        contour=contour_counts(*maps, tolerance),  # (6, C)
    )


def boundary_scores(counts: Counts, widths: Sequence[int]) -> dict[str, np.ndarray]:
    """Scores, (C,), from the counts of a data set, by the names of their means."""
    names = [f'trimap_mIoU@{width}' for width in widths]
    trimaps = dict(zip(names, iou(counts['trimap']), strict=True))
    return {'mBIoU': iou(counts['band']), **trimaps, 'mBF1': boundary_f1(counts['contour'])}


def boundary_band(labels: np.ndarray, width: int, *, frame: bool) -> np.ndarray:
    """Pixels at most ``width`` pixels from another label: the geometry of every metric.

    A pixel is in the band if the square window of 2 * width + 1 pixels around it holds another
    label. For each class that is its mask minus the mask eroded ``width`` times by a 3x3 square.
    It is computed for all classes at once: in exactly these windows, the smallest and the largest
    label differ. Void is a label like the others.

    Args:
        labels: (H, W), uint8 or uint16.
        width: In pixels, 1 or more.
        frame: Whether the frame of the image counts as a boundary.
    """
    width = min(width, max(labels.shape))
    window = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    if not frame:
        return cv2.erode(labels, window) != cv2.dilate(labels, window)
    beyond: dict[str, Any] = dict(borderType=cv2.BORDER_CONSTANT)
    least = cv2.erode(labels, window, borderValue=0, **beyond)
    greatest = cv2.dilate(labels, window, borderValue=np.iinfo(labels.dtype).max, **beyond)
    return least != greatest


def boundary_iou_counts(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, ratio: float = 0.02
) -> np.ndarray:
    """Overlap of the inner bands of prediction and truth (Cheng et al., CVPR 2021, Eq. 2).

    A band is d = max(1, round(ratio * diagonal)) pixels wide; the frame of the image counts as
    a boundary, as in the authors' code. Counts for :func:`iou`, (3, C).
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
    boundary, on either side; void is not in it. The frame of the image is not a boundary. Counts
    for :func:`iou`, (3, C) for each width.
    """
    bands = [boundary_band(truth, width, frame=False) for width in widths]
    ring = np.stack(bands).sum(axis=0, dtype=np.uint16)  # how many bands a pixel is in
    both = np.where(prediction == truth, truth, truth.dtype.type(num_classes))
    counts = np.stack(
        [_ring_counts(ring, m, len(widths), num_classes) for m in (both, prediction, truth)], axis=1
    )
    return counts.cumsum(axis=0)


def _ring_counts(ring: np.ndarray, labels: np.ndarray, rings: int, num_classes: int) -> np.ndarray:
    """Pixels of each class in the rings from the narrowest band outwards: (rings, C) int64."""
    values = (rings + 1) * (num_classes + 1)
    pairs = ring.astype(np.min_scalar_type(values)) * (num_classes + 1) + labels
    total = label_counts(pairs, values)
    return total.reshape(rings + 1, num_classes + 1)[:0:-1, :num_classes]


def contour_counts(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, tolerance: float = 0.0075
) -> np.ndarray:
    """Contour pixels of each class that have a counterpart (Csurka et al., BMVC 2013).

    The contour of a class is its pixels with another label among their eight neighbours. A
    contour pixel is matched if the other map has one of the same class at a Euclidean distance
    of at most ``tolerance`` times the diagonal. The frame of the image is not a boundary. Counts
    for :func:`boundary_f1`, (6, C): contour pixels of the prediction, how many of them are matched,
    the same two for the truth, all predicted and all true pixels.
    """
    contour, true_contour = (
        np.where(boundary_band(m, 1, frame=False), m, num_classes) for m in (prediction, truth)
    )
    radius = tolerance * np.hypot(*truth.shape)
    maps = (contour, true_contour, prediction, truth)
    predicted, true, *areas = (label_counts(m, num_classes) for m in maps)
    hits = predicted - _unmatched(contour, true_contour, num_classes, radius)
    true_hits = true - _unmatched(true_contour, contour, num_classes, radius)
    return np.stack([predicted, hits, true, true_hits, *areas])


def boundary_f1(counts: np.ndarray) -> np.ndarray:
    """F1 = 2PR / (P + R) of contours: (6, C) -> (C,), NaN for classes in neither map.

    P is the matched share of the predicted contour pixels, R that of the true ones. F1 is 0
    if nothing is matched. If neither map has a contour of the class, because it fills its images,
    F1 is 1 if the class is in both maps and 0 if it is in only one.
    """
    # Products of the counts of a large data set overflow integers.
    predicted, hits, true, true_hits, area, true_area = counts.astype(np.float64)
    # P = hits / predicted and R = true_hits / true, both fractions multiplied out.
    f1 = ratio_or_nan(2 * hits * true_hits, hits * true + true_hits * predicted)
    agreed = (predicted + true == 0) & (area > 0) & (true_area > 0)
    present = area + true_area > 0
    return np.where(present, np.where(hits > 0, f1, agreed), np.nan)


def without_match(
    labels: np.ndarray, other: np.ndarray, none: int, offsets: Sequence[tuple[int, int]]
) -> np.ndarray:
    """Pixels that have no pixel of their label in another map at any of these places.

    The cost is that of the pixels: each is looked at until it has a match, so put near offsets
    first. Pixels with the label ``none`` have no match and are none.

    Args:
        labels: (H, W).
        other: (H, W).
        none: No label.
        offsets: (y, x), from a pixel to those of the other map that are looked at.
    """
    reach = max((abs(step) for offset in offsets for step in offset), default=0)
    padded, other = (np.pad(m, reach, constant_values=none) for m in (labels, other))
    row, flat = padded.shape[1], other.ravel()
    places = np.flatnonzero(padded != none)
    wanted = padded.ravel()[places]
    for y, x in offsets:
        unmatched = flat.take(places + (y * row + x)) != wanted
        if not unmatched.all():  # at most far offsets nothing is found
            places, wanted = places[unmatched], wanted[unmatched]
    alone = np.zeros(padded.shape, bool)
    alone.ravel()[places] = True
    height, width = labels.shape
    return alone[reach : reach + height, reach : reach + width]


def _unmatched(
    contour: np.ndarray, other: np.ndarray, num_classes: int, radius: float
) -> np.ndarray:
    """Pixels of each class, of which both maps hold contours only, without a counterpart: (C,)."""
    alone = without_match(contour, other, num_classes, _disc(radius))
    return label_counts(contour[alone], num_classes)


@lru_cache(maxsize=4)  # a disc grows with the image, so few are kept
def _disc(radius: float) -> list[tuple[int, int]]:
    """Offsets (y, x) of the pixels whose distance is at most radius, the nearest first."""
    r = range(-int(radius), int(radius) + 1)
    disc = [(y, x) for y in r for x in r if y * y + x * x <= radius**2]
    return sorted(disc, key=lambda offset: offset[0] ** 2 + offset[1] ** 2)


def _holds_integers(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() and not tensor.is_complex()
