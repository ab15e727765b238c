"""Where segmentation is hard (section 3.1 of the paper): regions of a label map.

Label maps are those of :func:`class_maps`: classes 0..C-1, void C. Void is not in any region.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np

from .boundary_quality import boundary_band, without_match
from .label_counts import overlap_counts

REGIONS = (
    'all',
    'near boundaries',
    'interior',
    'small objects',
    'thin parts',
    'touching classes',
)


def region_masks(
    truth: np.ndarray,
    num_classes: int,
    *,
    width: int = 8,
    area: int = 1024,
    radius: int = 4,
    background: int | None = None,
) -> dict[str, np.ndarray]:
    """The regions of a label map; they may overlap, except for near boundaries and interior.

    - near boundaries: at most ``width`` pixels from another label, including void; interior: the
      rest.
    - small objects: see :func:`small_objects`; thin parts: see :func:`thin_parts`; both without
      the background.
    - touching classes: see :func:`touching_classes`.

    Args:
        truth: Classes or void, (H, W), uint8 or uint16.
        num_classes: C.
        width: Width of the band near boundaries, in pixels on either side.
        area: Objects of fewer pixels are small; 32 x 32 as in COCO.
        radius: Parts into which no disc of this radius fits are thin; with 4, those narrower than 9
            pixels.
        background: The class that is not an object, if there is one.

    Returns:
        A mask (H, W), bool, for each name of ``REGIONS``.
    """
    valid = truth != num_classes
    is_object = valid if background is None else valid & (truth != background)
    near = boundary_band(truth, width, frame=False)
    masks = (
        valid,
        valid & near,
        valid & ~near,
        is_object & small_objects(truth, area),
        is_object & thin_parts(truth, radius),
        valid & touching_classes(truth, num_classes, width, background),
    )
    return dict(zip(REGIONS, masks, strict=True))


def small_objects(truth: np.ndarray, area: int) -> np.ndarray:
    """Connected components (8 neighbours) of one label with fewer than ``area`` pixels."""
    component = _components(truth)
    return (np.bincount(component.ravel()) < area)[component]


def thin_parts(truth: np.ndarray, radius: int) -> np.ndarray:
    """Pixels that cannot be covered by a disc of ``radius`` inside their label.

    That is the label minus its opening by the disc. A pixel next to a disc counts as covered, so
    that slanted contours, which are staircases, are not thin. Strips narrower than
    2 * radius + 1 pixels are thin. The frame of the image is not a boundary.
    """
    centres = _over_disc(cv2.erode, truth, radius) == _over_disc(cv2.dilate, truth, radius)
    # A disc holds one label, so up to its radius from a centre a pixel has the centre's label.
    inside, beside = (
        _over_disc(cv2.dilate, centres.view(np.uint8), r) > 0 for r in (radius, radius + 1)
    )
    unsure, discs = (
        np.where(mask, truth.astype(np.int32), -1) for mask in (beside & ~inside, centres)
    )
    return ~beside | without_match(unsure, discs, -1, _ring(radius))


def touching_classes(
    truth: np.ndarray, num_classes: int, width: int, background: int | None
) -> np.ndarray:
    """Pixels with several classes of objects at most ``width`` pixels away in either direction.

    If there is a background, two other classes are required. Without one, two classes meet at
    every boundary, so three are required.
    """
    width = min(width, max(truth.shape))
    none = np.iinfo(truth.dtype).max
    is_object = ~np.isin(truth, [c for c in (num_classes, background) if c is not None])
    second = _second_least(np.where(is_object, truth, none), width)
    if background is not None:
        return second < none
    window = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    return second < cv2.dilate(np.where(is_object, truth, 0), window)


def region_counts(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, **sizes
) -> np.ndarray:
    """Overlap within each region of the truth, (R, 3, C); ``sizes`` as in :func:`region_masks`."""
    masks = region_masks(truth, num_classes, **sizes).values()
    return np.stack([overlap_counts(prediction[m], truth[m], num_classes) for m in masks])


def _components(labels: np.ndarray) -> np.ndarray:
    """Number of the connected component (8 neighbours) of one label for each pixel, (H, W)."""
    # Between two pixels the grid has one that is set if their labels are equal. A diagonal has no
    # such pixel of its own, since two diagonals cross.
    height, width = labels.shape
    grid = np.zeros((2 * height, 2 * width), np.uint8)
    grid[::2, ::2] = 1
    grid[::2, 1:-1:2] = labels[:, 1:] == labels[:, :-1]
    grid[1:-1:2, ::2] = labels[1:] == labels[:-1]
    count, component = cv2.connectedComponents(grid, connectivity=4)
    component = component[::2, ::2]
    pairs = []
    for left, right in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
        equal = labels[:-1, left] == labels[1:, right]
        pairs.append([component[:-1, left][equal], component[1:, right][equal]])
    return _merged(np.concatenate(pairs, axis=1), count)[component]


def _merged(pairs: np.ndarray, count: int) -> np.ndarray:
    """The least number to which each of ``count`` numbers is linked by ``pairs``, (2, P)."""
    least = np.arange(count)
    while True:
        pairs = least[pairs]
        pairs = pairs[:, pairs[0] != pairs[1]]
        if not pairs.size:
            return least
        # At least half of the numbers that still have a link take another one.
        np.minimum.at(least, pairs.max(axis=0), pairs.min(axis=0))
        while (least[least] != least).any():
            least = least[least]


def _over_disc(extreme: Callable, values: np.ndarray, radius: int) -> np.ndarray:
    """Least (``cv2.erode``) or greatest (``cv2.dilate``) value at most ``radius`` pixels away."""
    choose = np.minimum if extreme is cv2.erode else np.maximum
    found = values.copy()
    height, width = values.shape
    for y in range(min(radius + 1, height)):  # row by row: a whole disc costs radius^2
        reach = min(math.isqrt(radius**2 - y**2), width)
        row = extreme(values, np.ones((1, 2 * reach + 1), np.uint8))
        choose(found[y:], row[: height - y], out=found[y:])
        choose(found[: height - y], row[y:], out=found[: height - y])
    return found


def _second_least(values: np.ndarray, width: int) -> np.ndarray:
    """The least value but one in each square window of 2 * width + 1 pixels.

    Where there is none, it is the dtype's greatest value, which counts as no value.
    """
    none = np.iinfo(values.dtype).max
    least = np.pad(values, width, constant_values=none)
    second = np.full_like(least, none)
    for _ in ('columns', 'rows'):
        size = 1  # of the windows so far: two that overlap make a larger one
        while size < 2 * width + 1:
            step = min(size, 2 * width + 1 - size)
            first, last = least[:-step], least[step:]
            greater = np.maximum(first, last)
            greater[first == last] = none
            second = np.minimum(np.minimum(second[:-step], second[step:]), greater)
            least = np.minimum(first, last)
            size += step
        least, second = least.T, second.T
    return second


def _ring(radius: int) -> list[tuple[int, int]]:
    """Offsets (y, x) of the pixels whose distance is above ``radius``, at most ``radius + 1``."""
    squares = np.arange(-radius - 1, radius + 2) ** 2
    distances = np.add.outer(squares, squares)
    inside = (distances > radius**2) & (distances <= (radius + 1) ** 2)
    return [(y, x) for y, x in (np.argwhere(inside) - radius - 1).tolist()]
