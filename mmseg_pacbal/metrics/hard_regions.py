"""Where segmentation is hard (section 3.1 of the paper): regions of a label map.

Label maps are those of :func:`class_maps`: classes 0..C-1, void C. Void is not in any region.
"""

import cv2
import numpy as np

from .boundary_quality import boundary_band
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
    small = np.zeros(truth.shape, bool)
    for value in np.unique(truth):
        mask = (truth == value).view(np.uint8)
        _, component, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        is_small = stats[:, cv2.CC_STAT_AREA] < area
        is_small[0] = False  # component 0 is all other labels
        small |= is_small[component]
    return small


def thin_parts(truth: np.ndarray, radius: int) -> np.ndarray:
    """Pixels that cannot be covered by a disc of ``radius`` inside their label.

    That is the label minus its opening by the disc. A pixel next to a disc counts as covered, so
    that slanted contours, which are staircases, are not thin. Strips narrower than
    2 * radius + 1 pixels are thin. The frame of the image is not a boundary.
    """
    thin = np.zeros(truth.shape, bool)
    for value in np.unique(truth):
        mask = truth == value
        centres = _distance_to(~mask) > radius
        thin |= mask & (_distance_to(centres) > radius + 1)
    return thin


def touching_classes(
    truth: np.ndarray, num_classes: int, width: int, background: int | None
) -> np.ndarray:
    """Pixels with several classes of objects at most ``width`` pixels away in either direction.

    If there is a background, two other classes are required. Without one, two classes meet at
    every boundary, so three are required.
    """
    window = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    objects = [c for c in np.unique(truth) if c not in (num_classes, background)]
    nearby = np.zeros(truth.shape, np.uint16)
    for c in objects:
        nearby += cv2.dilate((truth == c).view(np.uint8), window) > 0
    return nearby >= (3 if background is None else 2)


def region_counts(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, **sizes
) -> np.ndarray:
    """Overlap within each region of the truth, (R, 3, C); ``sizes`` as in :func:`region_masks`."""
    masks = region_masks(truth, num_classes, **sizes).values()
    return np.stack([overlap_counts(prediction[m], truth[m], num_classes) for m in masks])


def _distance_to(mask: np.ndarray) -> np.ndarray:
    """Euclidean distance to the nearest pixel of a mask; infinite if the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    away = (~mask).view(np.uint8)
    return cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
