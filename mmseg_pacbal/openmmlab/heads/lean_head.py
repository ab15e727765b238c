"""Heads that compute their loss strip by strip, without logits at the size of the label."""

import functools
from collections.abc import Iterable
from typing import Any, TypeAlias

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn

from ...losses import BoundaryAwareLoss
from ...losses.label_check import LabelCheck
from ...ops.arguments import BOOL, check_arguments
from ...ops.lean_cross_entropy import lean_cross_entropy

EPS = torch.finfo(torch.float32).eps  # MMSegmentation adds it to every divisor
_Loss: TypeAlias = BoundaryAwareLoss | CrossEntropyLoss


class LeanLossMixin(BaseDecodeHead):
    """Give a head of MMSegmentation the option ``lean_loss``: same results, less memory.

    It stands before the head among the base classes; :func:`lean` and ``LeanHead`` do so for
    heads that exist. The losses and ``acc_seg`` are those of the head itself, to rounding;
    the logits that the loss sees are never enlarged as a whole
    (see :func:`mmseg_pacbal.ops.lean_cross_entropy.lean_cross_entropy`).

    Args:
        lean_loss: Whether to do so; False leaves the head as it is.
        *args, **kwargs: Those of the head.

    Raises:
        ValueError: The head does something that is not computed strip by strip: a sampler, a
            ``loss_by_feat`` of its own, or a loss other than ``BoundaryAwareLoss`` and
            ``CrossEntropyLoss`` over softmax, with reduction mean or sum.
    """

    def __init__(self, *args, lean_loss: bool = True, **kwargs) -> None:
        check_arguments(dict(lean_loss=BOOL), lean_loss=lean_loss)
        super().__init__(*args, **kwargs)
        self.lean_loss = lean_loss
        if lean_loss:
            _check_head(self, super().loss_by_feat)
            for loss in head_losses(self):
                _check_loss(loss, self.out_channels)
            self._check_label = LabelCheck()

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: SampleList) -> dict:
        """Losses by name, and ``acc_seg`` in percent, from logits (N, C, h, w)."""
        if not self.lean_loss:
            return super().loss_by_feat(seg_logits, batch_data_samples)
        label = self._stack_batch_gt(batch_data_samples).squeeze(1).long()  # (N, H, W)
        label = self._check_label(label, seg_logits.shape[1], self.ignore_index)
        results = {}
        for name, factor in _factors(head_losses(self), label, self.ignore_index).items():
            results[name], correct = lean_cross_entropy(
                seg_logits,
                label,
                factor,
                ignore_index=self.ignore_index,
                align_corners=self.align_corners,
            )
        num_valid = (label != self.ignore_index).sum()
        results['acc_seg'] = (correct + EPS) * 100 / (num_valid + EPS)[None]
        return results


@functools.cache
def lean(head: type[BaseDecodeHead]) -> type[BaseDecodeHead]:
    """The class of a head with the option ``lean_loss``, which is on: ``lean(FCNHead)(...)``."""
    return type(f'Lean{head.__name__}', (LeanLossMixin, head), {'__doc__': head.__doc__})


@MODELS.register_module(name='LeanHead')
def build_lean_head(head: str, **kwargs) -> BaseDecodeHead:
    """Build a registered head with ``lean_loss``.

    In a config, ``type='ASPPHead'`` becomes ``type='LeanHead', head='ASPPHead'``; all else stays.

    Raises:
        ValueError: head is not the name of a registered head, or see :class:`LeanLossMixin`.
    """
    found = MODELS.get(head) if isinstance(head, str) else None
    if not (isinstance(found, type) and issubclass(found, BaseDecodeHead)):
        raise ValueError(
            f"head must be the name of a registered decode head, such as 'ASPPHead', "
            f'but got {head!r}'
        )
    head_class: Any = found  # a class, but mypy does not see that classes are hashable
    if issubclass(head_class, LeanLossMixin):
        return head_class(**{'lean_loss': True, **kwargs})
    return lean(head_class)(**kwargs)


def head_losses(head: BaseDecodeHead) -> Iterable[Any]:
    """The modules that a head trains with; MMSegmentation keeps one of them without a list."""
    losses = head.loss_decode
    return losses if isinstance(losses, nn.ModuleList) else [losses]


def _factors(losses: Iterable[_Loss], label: Tensor, ignore_index: int) -> dict[str, Tensor]:
    """What the cross entropy of every pixel is multiplied by, for each name in the log.

    Losses of one name are added up, as MMSegmentation does.
    """
    factors: dict[str, Tensor] = {}
    for loss in losses:
        factor = _factor(loss, label, ignore_index)
        name = loss.loss_name
        factors[name] = factors[name] + factor if name in factors else factor
    return factors


def _factor(loss: _Loss, label: Tensor, ignore_index: int) -> Tensor:
    """(N, H, W) float32, with which the loss is the sum of factor times cross entropy."""
    valid = label != ignore_index
    factor = valid.float()
    if loss.class_weight is not None:
        class_weight = torch.as_tensor(loss.class_weight, dtype=factor.dtype, device=label.device)
        factor = factor * class_weight[torch.where(valid, label, 0)]
    divisor = _divisor(loss, factor, valid)
    if isinstance(loss, BoundaryAwareLoss):
        factor = factor * loss.weight_map(label, ignore_index)
    return factor * (loss.loss_weight / divisor)


def _divisor(loss: _Loss, factor: Tensor, valid: Tensor) -> Tensor | float:
    """What a sum over pixels is divided by, from their class weights and whether they count."""
    if loss.reduction == 'sum':
        return 1
    if isinstance(loss, CrossEntropyLoss) and loss.class_weight is not None:
        return factor.sum() + EPS  # MMSegmentation's mean counts a pixel by its class's weight
    n: Tensor | float = valid.sum() if loss.avg_non_ignore else valid.numel()
    if isinstance(loss, BoundaryAwareLoss):
        (n,) = loss.mean_of_processes(n, device=valid.device)
    return n + EPS


def _check_head(head: BaseDecodeHead, loss_by_feat) -> None:
    name = type(head).__name__
    if getattr(loss_by_feat, '__func__', None) is not BaseDecodeHead.loss_by_feat:
        raise ValueError(
            f'lean_loss=True: {name} computes its loss in a loss_by_feat of its own; accepted '
            "are heads that use BaseDecodeHead's"
        )
    if head.sampler is not None:
        raise ValueError(
            f'lean_loss=True: {name} has sampler {type(head.sampler).__name__}, which needs the '
            'enlarged logits; accepted is sampler=None'
        )


def _check_loss(loss: _Loss, num_classes: int) -> None:
    name = type(loss).__name__
    if type(loss) not in (BoundaryAwareLoss, CrossEntropyLoss):
        raise ValueError(
            f'lean_loss=True: loss_decode holds {name}; accepted are BoundaryAwareLoss and '
            'CrossEntropyLoss'
        )
    for option, accepted in (('pixel_loss', None), ('use_sigmoid', False), ('use_mask', False)):
        value = getattr(loss, option, accepted)
        if value != accepted:
            value = type(value).__name__ if isinstance(value, nn.Module) else value
            raise ValueError(f'lean_loss=True: {name} has {option}={value}; accepted is {accepted}')
    if loss.reduction not in ('mean', 'sum'):
        raise ValueError(
            f"lean_loss=True: {name} has reduction={loss.reduction!r}; accepted are 'mean', 'sum'"
        )
    if loss.class_weight is not None and len(loss.class_weight) != num_classes:
        raise ValueError(
            f'lean_loss=True: {name} has {len(loss.class_weight)} entries in class_weight; '
            f'accepted is one for each of {num_classes} classes'
        )
