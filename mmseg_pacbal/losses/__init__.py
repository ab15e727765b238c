"""Per-pixel losses, on torch alone."""

from .base import PixelLoss
from .boundary_aware_loss import BoundaryAwareLoss
from .rivals import BorderWeightLoss, OHEMPixelLoss, SoftmaxFocalLoss

__all__ = [
    'BorderWeightLoss',
    'BoundaryAwareLoss',
    'OHEMPixelLoss',
    'PixelLoss',
    'SoftmaxFocalLoss',
]
