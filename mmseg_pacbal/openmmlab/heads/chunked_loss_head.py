"""Heads that compute their loss tile by tile, without logits at the size of the label."""

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
from ...losses.label_check import LabelCheck, as_bytes
from ...ops.lean_cross_entropy import lean_cross_entropy

EPS = torch.finfo(torch.float32).eps  # MMSegmentation adds it to every divisor
ACCEPTED = dict(
    pixel_loss=(None,), use_sigmoid=(False,), use_mask=(False,), reduction=('mean', 'sum')
)
_Loss: TypeAlias = BoundaryAwareLoss | CrossEntropyLoss


@MODELS.register_module(name=['ChunkedLossHead', 'LeanHead'])
def build_chunked_loss_head(head: str, **kwargs: Any) -> BaseDecodeHead:
    """Build a registered head that gives the same results in less memory.

    In a config, ``type='ASPPHead'`` becomes ``type='ChunkedLossHead', head='ASPPHead'``; nothing
    else changes (``LeanHead`` is its older name). The losses and ``acc_seg`` are those of the head
    itself, up to rounding; the logits are enlarged tile by tile, never as a whole
    (see :func:`mmseg_pacbal.ops.lean_cross_entropy.lean_cross_entropy`).

    Args:
        head: Name of a registered decode head.
        **kwargs: Its arguments.

    Raises:
        ValueError: head is not such a name, or it does something that is not computed tile by
            tile: a sampler, its own ``loss_by_feat``, or a loss other than
            ``BoundaryAwareLoss`` and ``CrossEntropyLoss`` over softmax, with reduction mean or
            sum.
    """
    registered = MODELS.get(head) if isinstance(head, str) else None
    if not (isinstance(registered, type) and issubclass(registered, BaseDecodeHead)):
        raise ValueError(
            f"head must be the name of a registered decode head, such as 'ASPPHead', "
            f'but got {head!r}'
        )
    head_class: Any = registered  # a class, but mypy does not see that classes are hashable
    return _chunked(head_class)(**kwargs)


def build_lean_head(head: str, **kwargs: Any) -> BaseDecodeHead:
    """Older name of :func:`build_chunked_loss_head`."""
    return build_chunked_loss_head(head, **kwargs)


def head_losses(head: BaseDecodeHead) -> Iterable[Any]:
    """The modules that a head trains with; MMSegmentation keeps one of them without a list."""
    losses = head.loss_decode
    return losses if isinstance(losses, nn.ModuleList) else [losses]


@functools.cache
def _chunked(head: type[BaseDecodeHead]) -> type[BaseDecodeHead]:
    return type(f'ChunkedLoss{head.__name__}', (_ChunkedLoss, head), {'__doc__': head.__doc__})


class _ChunkedLoss(BaseDecodeHead):
    """Comes before a head among the bases of a class, and computes its loss."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _check(self, super().loss_by_feat)
        self._check_label = LabelCheck()

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: SampleList) -> dict:
        """Losses by name, and ``acc_seg`` in percent, from logits (N, C, h, w)."""
        ignore_index, num_classes = self.ignore_index, seg_logits.shape[1]
        label = self._stack_batch_gt(batch_data_samples).squeeze(1).long()  # (N, H, W)
        label = self._check_label(label, num_classes, ignore_index)
        in_bytes = as_bytes(label, num_classes, ignore_index)
        results: dict[str, Tensor] = {}
        for loss in head_losses(self):
            factor, divisor = _factor_and_divisor(loss, in_bytes, ignore_index)
            total, correct = lean_cross_entropy(
                seg_logits,
                label,
                factor,
                ignore_index=ignore_index,
                align_corners=self.align_corners,
            )
            value = loss.loss_weight * (total / divisor)
            # MMSegmentation adds losses of one name.
            results[loss.loss_name] = results.get(loss.loss_name, 0) + value
        num_valid = (in_bytes != ignore_index).sum()
        results['acc_seg'] = (correct + EPS) * 100 / (num_valid + EPS)[None]
        return results


def _factor_and_divisor(
    loss: _Loss, label: Tensor, ignore_index: int
) -> tuple[Tensor, Tensor | float]:
    """The factor of each pixel's cross entropy, (N, H, W), and what their sum is divided by."""
    if isinstance(loss, BoundaryAwareLoss):
        factor = loss.pixel_factor(label, ignore_index)
        n = loss.num_pixels(label, ignore_index)
        return factor, loss.divisor(n, label.device) if loss.reduction == 'mean' else 1
    valid = label != ignore_index
    factor = valid.float()
    if loss.class_weight is not None:
        class_weight = torch.as_tensor(loss.class_weight, device=label.device).float()
        factor = factor * class_weight[label.where(valid, 0).long()]
    if loss.reduction == 'sum':
        return factor, 1
    if loss.class_weight is not None:
        return factor, factor.sum() + EPS  # its mean counts a pixel by the weight of its class
    return factor, (valid.sum() if loss.avg_non_ignore else valid.numel()) + EPS


def _check(head: BaseDecodeHead, loss_by_feat: Any) -> None:
    """Raise ValueError for what is not computed tile by tile."""
    name = type(head).__name__.removeprefix('ChunkedLoss')
    if getattr(loss_by_feat, '__func__', None) is not BaseDecodeHead.loss_by_feat:
        raise ValueError(
            f'ChunkedLossHead: {name} computes its loss in its own loss_by_feat; accepted '
            "are heads that use BaseDecodeHead's"
        )
    if head.out_channels == 1:
        raise ValueError(
            f'ChunkedLossHead: {name} has out_channels=1, of which softmax is always 1; accepted '
            'are 2 or more, or the head without ChunkedLossHead and a loss with use_sigmoid=True'
        )
    if head.sampler is not None:
        raise ValueError(
            f'ChunkedLossHead: {name} has sampler {type(head.sampler).__name__}, which needs the '
            'enlarged logits; accepted is sampler=None'
        )
    for loss in head_losses(head):
        name = type(loss).__name__
        if type(loss) not in (BoundaryAwareLoss, CrossEntropyLoss):
            raise ValueError(
                f'ChunkedLossHead: loss_decode holds {name}; accepted are BoundaryAwareLoss and '
                'CrossEntropyLoss'
            )
        for option, accepted in ACCEPTED.items():
            value = getattr(loss, option, accepted[0])
            if value not in accepted:
                value = type(value).__name__ if isinstance(value, nn.Module) else value
                raise ValueError(
                    f'ChunkedLossHead: {name} has {option}={value!r}; accepted is '
                    f'{" or ".join(map(repr, accepted))}'
                )
        if loss.class_weight is not None and len(loss.class_weight) != head.out_channels:
            raise ValueError(
                f'ChunkedLossHead: {name} has {len(loss.class_weight)} entries in class_weight; '
                f'accepted is one for each of {head.out_channels} classes'
            )
