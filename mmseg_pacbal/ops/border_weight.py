"""Label -> weight map of U-Net: more weight where two objects are close."""

import numpy as np
import torch
from torch import Tensor

from .arguments import INT, NON_NEGATIVE, POSITIVE, Accepted, check_arguments, is_int
from .boundary_weight import integer_label

ACCEPTED = dict(
    w0=NON_NEGATIVE,
    sigma=POSITIVE,
    background=Accepted('None or a class', lambda value: value is None or is_int(value)),
    ignore_index=INT,
)


@torch.no_grad()
def border_weight_map(
    label: Tensor,
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    background: int | None = None,
    ignore_index: int = 255,
) -> Tensor:
    r"""Weight of every pixel in U-Net's loss, without its class weights.

    .. math:: w = 1 + w_0 \exp\left(-\frac{(d_1 + d_2)^2}{2 \sigma^2}\right)

    (Ronneberger, Fischer and Brox, MICCAI 2015, Eq. 2 with :math:`w_c = 1`), with :math:`d_1` and
    :math:`d_2` the Euclidean distances to the nearest and the second nearest object, 0 within.
    Objects are the connected components (8 neighbours) of each class. An image with fewer than two
    has weight 1 everywhere.

    Args:
        label: Class of every pixel, (N, H, W), any integer dtype, or bool.
        w0: Weight at a border, in addition to the 1 that every pixel has.
        sigma: Width of the border, in pixels; the paper's 5 is for images of 512 pixels.
        background: The class that is not an object, as in the paper; None where every class is.
        ignore_index: The void label, which is not an object.

    Returns:
        (N, H, W), float32, on label's device, from 1 to 1 + w0.

    Raises:
        ValueError: An argument is not one of those above, or label is not (N, H, W).
        TypeError: label is not a tensor of integers or bool.
    """
    check_arguments(ACCEPTED, w0=w0, sigma=sigma, background=background, ignore_index=ignore_index)
    label = integer_label(label)
    left_out = (background, ignore_index)
    both = np.stack([_two_nearest(image, left_out) for image in label.cpu().numpy()])
    distance = torch.from_numpy(both.sum(axis=1)).to(label.device)  # d1 + d2, (N, H, W)
    return 1 + w0 * torch.exp(-(distance**2) / (2 * sigma**2))


def _two_nearest(label: np.ndarray, left_out: tuple) -> np.ndarray:
    """Distances to the nearest and the second nearest object, (H, W) -> (2, H, W) float32."""
    import cv2  # here, so that importing this package loads little beyond torch

    nearest, second = np.full((2, *label.shape), np.inf, np.float32)
    for value in set(np.unique(label).tolist()) - set(left_out):
        mask = (label == value).view(np.uint8)
        count, component = cv2.connectedComponents(mask, connectivity=8)
        for index in range(1, count):
            distance = distance_to(component == index)
            second = np.minimum(second, np.maximum(nearest, distance))
            nearest = np.minimum(nearest, distance)
    return np.stack([nearest, second])


def distance_to(mask: np.ndarray) -> np.ndarray:
    """Euclidean distance, in pixels, to the nearest pixel of a mask: (H, W) -> (H, W), float32.

    Infinite if the mask is empty, else the root of a whole number, rounded once. OpenCV's own code
    adds whole squares, which float32 holds up to 4,096 pixels. Intel's IPP, which OpenCV uses for
    small images, is off by up to 10 units in the last place, depending on where the result begins
    in memory: it is turned off. Another build of OpenCV may take a root that is off, too: rounding
    the square to a whole number corrects a distance d that is off by less than 1 / (4 d^2) of
    itself.
    """
    import cv2

    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    ipp = cv2.ipp.useIPP()  # of this thread
    cv2.ipp.setUseIPP(False)
    try:
        away = (~mask).view(np.uint8)
        distance = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    finally:
        cv2.ipp.setUseIPP(ipp)
    return np.sqrt(np.rint(np.square(distance, dtype=np.float64))).astype(np.float32)
