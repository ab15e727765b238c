"""Losses with a value for every pixel, on torch alone."""

from .base import PixelLoss
from .boundary_aware_loss import BoundaryAwareLoss
from .focal_loss import SoftmaxFocalLoss
from .ohem_loss import OHEMPixelLoss

__all__ = ['BoundaryAwareLoss', 'OHEMPixelLoss', 'PixelLoss', 'SoftmaxFocalLoss']
