from .base import OHEMPixelLoss, SoftmaxFocalLoss
from .boundary_aware_loss import BoundaryAwareLoss

__all__ = ['BoundaryAwareLoss', 'OHEMPixelLoss', 'SoftmaxFocalLoss']
