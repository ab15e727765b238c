"""Boundary IoU, trimap mIoU and boundary F1 together, as all metric classes use them.

Counts are for one image and are added up over images, batches and processes; scores are computed
from the sums.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from ..ops.arguments import Accepted, is_int, is_number
from .boundary_quality import boundary_f1, boundary_iou_counts, contour_counts, trimap_counts
from .label_counts import iou

Counts = dict[str, np.ndarray]

SHARE = Accepted(
    "a share of the image's diagonal, above 0 and at most 1",
    lambda value: is_number(value) and 0 < value <= 1,
)
WIDTHS = Accepted(
    'increasing positive integers, in pixels, such as (1, 2, 4)',
    lambda value: (
        isinstance(value, Sequence)
        and len(value) > 0
        and all(is_int(width) for width in value)
        and all(a < b for a, b in itertools.pairwise([0, *value]))
    ),
)
ARGUMENTS = dict(ratio=SHARE, widths=WIDTHS, tolerance=SHARE)


def boundary_counts(
    prediction: np.ndarray,
    truth: np.ndarray,
    num_classes: int,
    *,
    ratio: float,
    widths: Sequence[int],
    tolerance: float,
) -> Counts:
    """Count in one image for all three measures.

    Args:
        prediction: Classes or void, (H, W), of :func:`class_maps`.
        truth: Classes or void, (H, W), of :func:`class_maps`.
        num_classes: C.
        ratio: See :func:`boundary_iou_counts`.
        widths: See :func:`trimap_counts`.
        tolerance: See :func:`contour_counts`.

    Returns:
        ``band`` (3, C), ``trimap`` (len(widths), 3, C) and ``contour`` (6, C), int64.
    """
    maps = (prediction, truth, num_classes)
    return dict(
        band=boundary_iou_counts(*maps, ratio),
        trimap=trimap_counts(*maps, widths),
        contour=contour_counts(*maps, tolerance),
    )


def no_counts(num_classes: int, widths: Sequence[int]) -> Counts:
    """The counts before the first image: zeros, in the shapes of :func:`boundary_counts`."""
    shapes = dict(band=(3,), trimap=(len(widths), 3), contour=(6,))
    return {name: np.zeros((*shape, num_classes), np.int64) for name, shape in shapes.items()}


def boundary_scores(counts: Counts, widths: Sequence[int]) -> dict[str, np.ndarray]:
    """Scores of each class, from the counts of a whole data set.

    Returns:
        By the name of their mean, ``mBIoU``, ``trimap_mIoU@W`` for each width W, and ``mBF1``:
        (C,), from 0 to 1, NaN for classes in neither map.
    """
    trimaps = zip(widths, iou(counts['trimap']), strict=True)
    return {
        'mBIoU': iou(counts['band']),
        **{f'trimap_mIoU@{width}': score for width, score in trimaps},
        'mBF1': boundary_f1(counts['contour']),
    }
