"""The losses of this package in MMSegmentation's registry, and what losses go with what head."""

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss, LovaszLoss, OhemCrossEntropy, TverskyLoss
from mmseg.models.losses.lovasz_loss import lovasz_softmax
from mmseg.registry import MODELS
from torch import nn

from ..losses import (
    BorderWeightLoss,
    BoundaryAwareLoss,
    OHEMPixelLoss,
    PixelLoss,
    SoftmaxFocalLoss,
)
from ..losses.boundary_aware_loss import PIXEL_LOSS
from .heads import head_losses

__all__ = ['BorderWeightLoss', 'BoundaryAwareLoss', 'OHEMPixelLoss', 'SoftmaxFocalLoss']

for loss in (BorderWeightLoss, BoundaryAwareLoss, OHEMPixelLoss, SoftmaxFocalLoss):
    MODELS.register_module(module=loss)


def _build_pixel_loss(cfg: dict) -> nn.Module:
    kind = cfg.get('type')
    if not (isinstance(kind, type) or (isinstance(kind, str) and MODELS.get(kind))):
        raise ValueError(f'pixel_loss must be {PIXEL_LOSS.words}, but got {cfg!r}')
    return MODELS.build(cfg)


BoundaryAwareLoss.build_pixel_loss = staticmethod(_build_pixel_loss)


def check_losses(model: nn.Module) -> None:
    """Check that the losses of a model's heads go with their output channels.

    Heads with a ``loss_by_feat`` of their own, which may compare with other labels, pass.
    """
    for name, head in model.named_modules():
        if not isinstance(head, BaseDecodeHead):
            continue
        if type(head).loss_by_feat is not BaseDecodeHead.loss_by_feat:
            continue
        if head.num_classes == 1:
            raise ValueError(
                f'{name}.num_classes is 1, so that there is nothing to tell apart; for an object '
                'on a background give num_classes=2, out_channels=1 and a loss with '
                'use_sigmoid=True'
            )
        for loss in head_losses(head):
            kind = type(loss).__name__
            if head.out_channels == 1 and _is_softmax(loss):
                raise ValueError(
                    f'{name} has out_channels=1 and {kind} over softmax, of which one channel is '
                    'always 1; give a loss with use_sigmoid=True, such as BoundaryAwareLoss or '
                    'CrossEntropyLoss, or out_channels=2'
                )
            binary = isinstance(loss, (BoundaryAwareLoss, CrossEntropyLoss)) and loss.use_sigmoid
            if head.num_classes == head.out_channels == 2 and binary:
                raise ValueError(
                    f'{name} has out_channels=2 and {kind} with use_sigmoid=True, which trains '
                    'each channel by itself while the larger one is predicted; give '
                    'out_channels=1, or use_sigmoid=False'
                )


def _is_softmax(loss: nn.Module) -> bool:
    if isinstance(loss, BoundaryAwareLoss) and loss.pixel_loss is not None:
        return _is_softmax(loss.pixel_loss)
    if isinstance(loss, LovaszLoss):
        return loss.cls_criterion is lovasz_softmax
    always = isinstance(loss, (PixelLoss, OhemCrossEntropy, TverskyLoss))
    return not getattr(loss, 'use_sigmoid', not always)
