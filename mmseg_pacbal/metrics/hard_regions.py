"""Where segmentation is hard (section 3.1 of the paper): regions of a label map.

Label maps are those of :func:`class_maps`: classes 0..C-1, void C. Void is in no region.
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
    """The regions of a label map; all but interior and near boundaries may overlap.

    - near boundaries: at most ``width`` pixels from another label, void included; interior: the
      rest.
    - small objects: see :func:`small_objects`; thin parts: see :func:`thin_parts`; neither is of
      the background.
    - touching classes: see :func:`touching_classes`.

    Args:
        truth: Classes or void, (H, W), uint8 or uint16.
        num_classes: C.
        width: Of the band near boundaries, in pixels on either side.
        area: Objects of fewer pixels are small; 32 x 32 as in COCO.
        radius: Parts in which no disc of this radius fits are thin; at 4, narrower than 9 pixels.
        background: The class that is no object, if there is one.

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
        is_small[0] = False  # all other labels
        small |= is_small[component]
    return small


def thin_parts(truth: np.ndarray, radius: int) -> np.ndarray:
    """Pixels that no disc of ``radius`` reaches which lies within their label.

    That is the label minus its opening by the disc; a pixel next to the disc counts as reached, so
    that slanted contours, which are staircases, are not thin. Strips of fewer than
    2 * radius + 1 pixels are. The frame of the image is no boundary.
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
    """Pixels with several objects at most ``width`` pixels away in either direction.

    Two classes besides the background make a contact. Where every class counts as an object,
    two meet at every boundary, and three are asked for.
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
    """Overlap within each region of the truth, (R, 3, C); ``sizes`` as of region_masks."""
    masks = region_masks(truth, num_classes, **sizes).values()
    return np.stack([overlap_counts(prediction[m], truth[m], num_classes) for m in masks])


def _distance_to(mask: np.ndarray) -> np.ndarray:
    """Euclidean distance to the nearest pixel of a mask, infinite where it is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    away = (~mask).view(np.uint8)
    return cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
