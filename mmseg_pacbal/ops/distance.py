"""Exact Euclidean distances."""

import numpy as np


def distance_to(mask: np.ndarray) -> np.ndarray:
    """Euclidean distance of every pixel to the nearest pixel of a mask.

    The result is the root of a whole number, rounded once. OpenCV's own code adds whole squares,
    which float32 holds up to 4,096 pixels. Intel's IPP, to which OpenCV leaves small images, is up
    to 10 units in the last place off, and its bits depend on where the result begins in memory.
    Squares are rounded for other makes of the root: that is right for a distance d if they are off
    by less than 1 / (4 d^2) of it.

    Args:
        mask: (H, W), bool.

    Returns:
        (H, W), float32, in pixels; infinite if the mask is empty.
    """
    import cv2  # here, so that importing this package loads little beyond torch

    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    away = (~mask).view(np.uint8)
    ipp = cv2.ipp.useIPP()  # of this thread
    cv2.ipp.setUseIPP(False)
    try:
        distance = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    finally:
        cv2.ipp.setUseIPP(ipp)
    return np.sqrt(np.rint(np.square(distance, dtype=np.float64))).astype(np.float32)
