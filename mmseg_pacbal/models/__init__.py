"""Modules registered in MMSegmentation's MODELS."""

from .decode_heads import PACHead
from .layers import PyramidAtrousConv
from .losses import BoundaryAwareLoss

__all__ = ['BoundaryAwareLoss', 'PACHead', 'PyramidAtrousConv']
