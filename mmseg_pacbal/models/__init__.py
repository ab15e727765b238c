"""Modules registered in MMSegmentation's MODELS."""

from .decode_heads import LeanLossMixin, PACHead, lean
from .layers import PyramidAtrousConv
from .losses import BoundaryAwareLoss, OHEMPixelLoss, SoftmaxFocalLoss

__all__ = [
    'BoundaryAwareLoss',
    'LeanLossMixin',
    'OHEMPixelLoss',
    'PACHead',
    'PyramidAtrousConv',
    'SoftmaxFocalLoss',
    'lean',
]
