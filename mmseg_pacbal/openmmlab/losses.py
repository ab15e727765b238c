"""The losses of this package in MMSegmentation's registry."""

from mmseg.registry import MODELS
from torch import nn

from ..losses import BorderWeightLoss, BoundaryAwareLoss, OHEMPixelLoss, SoftmaxFocalLoss
from ..losses.boundary_aware_loss import PIXEL_LOSS

__all__ = ['BorderWeightLoss', 'BoundaryAwareLoss', 'OHEMPixelLoss', 'SoftmaxFocalLoss']

for loss in (BorderWeightLoss, BoundaryAwareLoss, OHEMPixelLoss, SoftmaxFocalLoss):
    MODELS.register_module(module=loss)


def _build_pixel_loss(cfg: dict) -> nn.Module:
    kind = cfg.get('type')
    if not (isinstance(kind, type) or (isinstance(kind, str) and MODELS.get(kind))):
        raise ValueError(f'pixel_loss must be {PIXEL_LOSS.words}, but got {cfg!r}')
    return MODELS.build(cfg)


BoundaryAwareLoss.build_pixel_loss = staticmethod(_build_pixel_loss)
