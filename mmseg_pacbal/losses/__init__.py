"""Losses with a value for every pixel, on torch alone."""

from .base import PixelLoss
from .border_weight_loss import BorderWeightLoss
from .boundary_aware_loss import BoundaryAwareLoss
from .focal_loss import SoftmaxFocalLoss
from .ohem_loss import OHEMPixelLoss

__all__ = [
    'BorderWeightLoss',
    'BoundaryAwareLoss',
    'OHEMPixelLoss',
    'PixelLoss',
    'SoftmaxFocalLoss',
]
