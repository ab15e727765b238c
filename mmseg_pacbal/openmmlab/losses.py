"""The losses of this package, for MMSegmentation's configs."""

from ..losses import BoundaryAwareLoss, OHEMPixelLoss, SoftmaxFocalLoss

__all__ = ['BoundaryAwareLoss', 'OHEMPixelLoss', 'SoftmaxFocalLoss']
