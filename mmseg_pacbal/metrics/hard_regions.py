"""Where segmentation is hard (section 3.1 of the paper): regions of a label map, and their scores.

Label maps are those of :func:`class_maps`: classes 0..C-1, void C. Void is not in any region. The
cost is that of the pixels, whatever the number of classes. In reports ``totals`` maps the name of
a model to its counts over the data set, (R, 3, C), one (3, C) for each of ``HARD_REGIONS``.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from ..markdown import to_markdown
from .boundary_quality import boundary_band, without_match
from .label_counts import (
    Totals,
    accuracy,
    iou,
    mean_percent,
    overlap_counts,
    ratio_or_nan,
    to_csv,
)

HARD_REGIONS = (
    *('all', 'near boundaries', 'interior'),
    *('small objects', 'thin parts', 'touching classes'),
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
    """The regions of a label map, a mask (H, W) for each of ``HARD_REGIONS``; they may overlap.

    Near boundaries are the pixels at most ``width`` pixels from another label, including void, and
    the interior is the rest. For the others see :func:`small_objects` and :func:`thin_parts`, both
    without the background, and :func:`touching_classes`.

    Args:
        truth: Classes or void, (H, W), uint8 or uint16.
        num_classes: C.
        width: Width of the band near boundaries, in pixels on either side.
        area: Objects of fewer pixels are small; 32 x 32 as in COCO.
        radius: Parts into which no disc of this radius fits are thin; with 4, those narrower than 9
            pixels.
        background: The class that is not an object, if there is one.
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
    return dict(zip(HARD_REGIONS, masks, strict=True))


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
    if boundary_band(truth, int(radius / 2**0.5), frame=False).all():
        return np.ones(truth.shape, bool)  # the square in a disc, quicker, fits nowhere
    squares = np.arange(-radius - 1, radius + 2) ** 2
    distances = np.add.outer(squares, squares)  # squared, from the middle
    wide = (distances <= (radius + 1) ** 2).view(np.uint8)
    disc = (distances <= radius**2).view(np.uint8)
    centres = cv2.erode(truth, disc) == cv2.dilate(truth, disc)
    inside, beside = (cv2.dilate(centres.view(np.uint8), d) > 0 for d in (disc, wide))
    # A disc holds one label, so up to its radius from a centre a pixel has the centre's label.
    unsure, discs = (
        np.where(mask, truth.astype(np.int32), -1) for mask in (beside & ~inside, centres)
    )
    rim = [(int(y), int(x)) for y, x in np.argwhere(wide > disc) - radius - 1]
    return ~beside | without_match(unsure, discs, -1, rim)


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


def region_table(totals: Totals) -> str:
    """A Markdown table with a line for each region, in %.

    Columns are the region's share of all pixels and, for each model, mIoU, mean accuracy (mAcc)
    and the pixels of the region that are wrong, as a share of all pixels (errors); for two models
    also the difference, second minus first. A dash means that there is nothing to measure.
    """
    columns = {'pixels': pixel_share(next(iter(totals.values())))}
    for measure, score in MEASURES.items():
        scores = [score(total) for total in totals.values()]
        heads = [f'{measure} {name}'.strip() for name in totals]
        columns |= dict(zip(heads, scores, strict=True))
        if len(scores) == 2:
            columns[f'{measure} difference'] = scores[1] - scores[0]
    cells = []
    for head, values in columns.items():
        sign = '+' if head.endswith(' difference') else ''
        cells.append(['-' if np.isnan(value) else f'{value:{sign}.2f}' for value in values])
    rows = [list(row) for row in zip(HARD_REGIONS, *cells, strict=True)]
    return to_markdown(['region', *columns], rows, left=1)


def region_csv(totals: Totals, classes: Sequence[str]) -> str:
    """CSV, a line for each model, region and class; ``mean`` is over the classes that occur."""
    rows = []
    for name, total in totals.items():
        for region, counts in zip(HARD_REGIONS, total, strict=True):
            right, _, pixels = counts
            lines = zip(classes, pixels, right, iou(counts), accuracy(counts), strict=True)
            for label, n, hits, *scores in lines:
                rows.append([name, region, label, n, hits, *(f'{100 * s:.2f}' for s in scores)])
            means = [f'{mean_percent(score(counts)):.2f}' for score in (iou, accuracy)]
            rows.append([name, region, 'mean', pixels.sum(), right.sum(), *means])
    return to_csv(['model', 'region', 'class', 'pixels', 'right', 'IoU', 'accuracy'], rows)


def pixel_share(total: np.ndarray) -> np.ndarray:
    """Share of each region in all pixels, in %: (R, 3, C) -> (R,)."""
    return _share_of_all(total, total[:, 2])


def _share_of_all(total: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Pixels of regions and classes, (R, C), in % of all pixels (the first region)."""
    pixels = pixels.sum(1)
    return 100 * ratio_or_nan(pixels, np.full_like(pixels, total[0, 2].sum()))


MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # (R, 3, C) -> (R,), in %
    'mIoU': lambda total: np.array([mean_percent(score) for score in iou(total)]),
    'mAcc': lambda total: np.array([mean_percent(score) for score in accuracy(total)]),
    'errors': lambda total: _share_of_all(total, total[:, 2] - total[:, 0]),
}


def _components(labels: np.ndarray) -> np.ndarray:
    """Number of the connected component (8 neighbours) of one label for each pixel, (H, W)."""
    from scipy.sparse import coo_array  # only this function needs it
    from scipy.sparse.csgraph import connected_components

    # Between two pixels the grid has one that is set if their labels are equal. A diagonal has no
    # such pixel of its own, since two diagonals cross: diagonals link components afterwards.
    height, width = labels.shape
    grid = np.zeros((2 * height, 2 * width), np.uint8)
    grid[::2, ::2] = 1
    grid[::2, 1:-1:2] = labels[:, 1:] == labels[:, :-1]
    grid[1:-1:2, ::2] = labels[1:] == labels[:-1]
    count, component = cv2.connectedComponents(grid, connectivity=4)
    component = component[::2, ::2]
    links = []
    for left, right in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
        above, below = component[:-1, left], component[1:, right]
        linked = (labels[:-1, left] == labels[1:, right]) & (above != below)
        links.append([above[linked], below[linked]])
    rows, columns = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(count, count))
    return connected_components(graph, directed=False)[1][component]


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
