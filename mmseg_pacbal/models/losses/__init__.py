from .boundary_aware_loss import BoundaryAwareLoss
from .pixel_losses import OHEMPixelLoss, SoftmaxFocalLoss

__all__ = ['BoundaryAwareLoss', 'OHEMPixelLoss', 'SoftmaxFocalLoss']
