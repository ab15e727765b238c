"""Losses with a value for every pixel: their base, and two for ``pixel_loss`` or alone.

MMSegmentation 1.2.2 has both, but its ``FocalLoss`` takes class labels on CUDA only, and
``OhemCrossEntropy`` gives one number for a batch.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..openmmlab.arguments import explains_unknown_arguments
from ..ops.arguments import INT, NON_NEGATIVE, Accepted, check_arguments, is_number, one_of
from .label_check import LabelCheck
from .reduction import (
    check_pixel_weight,
    check_scores,
    class_weight_for,
    reduce_pixels,
    register_class_weight,
)

ACCEPTED = dict(
    reduction=one_of('none', 'mean', 'sum'),
    loss_weight=NON_NEGATIVE,
    loss_name=Accepted("a name such as 'loss_bal'", lambda v: isinstance(v, str) and v != ''),
    gamma=NON_NEGATIVE,
    keep_ratio=Accepted('above 0 and at most 1', lambda v: is_number(v) and 0 < v <= 1),
    ignore_index=INT,
    avg_factor=Accepted(
        'None, a finite number, 0 or more, or a tensor of one',
        lambda v: v is None or NON_NEGATIVE.test(v) or (torch.is_tensor(v) and v.numel() == 1),
    ),
)
Count = TypeVar('Count', bound=Tensor | float)


class PixelLoss(nn.Module):
    """Base of losses that have a value for every pixel, 0 at void.

    They are computed in float32 or better, under autocast too.

    In training with several processes each divides its sum by the mean of all their counts. As
    DDP averages the gradients, loss and gradients are those of one process with the whole batch,
    however its pixels are shared out.

    Args:
        class_weight: Factor for each class, a list or the name of a file; void needs none.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
        loss_weight: Factor of the result.
        loss_name: Name in the log. Only names that begin with ``loss_`` are trained.

    Raises:
        ValueError: An argument is not one of those above.
    """

    class_weight: Tensor | None

    def __init__(
        self,
        class_weight: list[float] | str | None = None,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        loss_name: str = 'loss_pixel',
    ) -> None:
        super().__init__()
        check_arguments(ACCEPTED, reduction=reduction, loss_weight=loss_weight, loss_name=loss_name)
        register_class_weight(self, class_weight)
        self.reduction = reduction
        self.loss_weight = loss_weight
        self._loss_name = loss_name
        self._check_label = LabelCheck()

    @property
    def loss_name(self) -> str:
        """Name of this loss in the log."""
        return self._loss_name

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
        ignore_index: int = 255,
        **kwargs,
    ) -> Tensor:
        """Loss of a batch.

        Args:
            cls_score: Logits, (N, C, H, W).
            label: Classes or void, (N, H, W), integer.
            weight: Further factor of every pixel, (N, H, W), as pixel samplers give.
            avg_factor: What a mean divides by, in place of the loss's own count of pixels.
            reduction_override: Takes the place of ``reduction``.
            ignore_index: The void label.
            **kwargs: Ignored; MMSegmentation passes what other losses need.

        Returns:
            A scalar, or (N, H, W) for reduction ``'none'``.

        Raises:
            ValueError: Sizes differ, a label is neither a class nor void (on CUDA reported by
                a later call), or avg_factor is combined with ``'sum'``.
        """
        reduction = reduction_override or self.reduction
        check_arguments(
            ACCEPTED, reduction=reduction, avg_factor=avg_factor, ignore_index=ignore_index
        )
        if avg_factor is not None and reduction == 'sum':
            raise ValueError("avg_factor goes with reduction='mean', but reduction is 'sum'")
        check_scores(cls_score, label)
        label = self._check_label(label.long(), self.num_classes(cls_score), ignore_index)
        with torch.autocast(cls_score.device.type, enabled=False):
            if cls_score.dtype in (torch.float16, torch.bfloat16):
                cls_score = cls_score.float()
            loss, n = self.per_pixel(cls_score, label, ignore_index)
            if weight is not None:
                check_pixel_weight(weight, label)
                loss = loss * weight.reshape(loss.shape).to(loss.dtype)
            if avg_factor is not None:
                n = avg_factor
            elif reduction == 'mean':
                (n,) = self.mean_of_processes(n, device=loss.device)
            return self.loss_weight * reduce_pixels(loss, reduction, n)

    def mean_of_processes(self, *counts: Count, device: torch.device) -> Sequence[Tensor | Count]:
        """Counts as means over all processes in training; else, or alone, the counts themselves.

        As with SyncBN, every process has to take part in training. In evaluation mode and under
        ``torch.no_grad`` each is on its own, so that one of them may look at a loss alone.
        """
        if not (self.training and torch.is_grad_enabled() and get_world_size() > 1):
            return counts
        means = torch.empty(len(counts), device=device)
        for index, count in enumerate(counts):  # a number is no reason to wait for a GPU
            means[index] = count
        all_reduce(means, 'mean')
        return means.unbind()

    def num_classes(self, cls_score: Tensor) -> int:
        """How many classes labels may have with these logits, (N, C, H, W)."""
        return cls_score.shape[1]

    def per_pixel(
        self, cls_score: Tensor, label: Tensor, ignore_index: int
    ) -> tuple[Tensor, Tensor | float]:
        """The loss of every pixel, (N, H, W), and the number of pixels that a mean counts."""
        raise NotImplementedError


@MODELS.register_module()
@explains_unknown_arguments
class SoftmaxFocalLoss(PixelLoss):
    r"""Focal loss over softmax: pixels that are already right count less.

    .. math:: FL = -\alpha_l (1 - p_l)^\gamma \log p_l

    with p the softmax probability of the pixel's class l (Lin et al. 2017, Eq. 5). A mean
    counts the pixels that are not void.

    Args:
        gamma: 0 is cross entropy; the paper's best is 2.
        class_weight: alpha; see :class:`PixelLoss` for it and the rest.
        loss_name: Name in the log.
        **kwargs: ``reduction`` and ``loss_weight``.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        class_weight: list[float] | str | None = None,
        loss_name: str = 'loss_focal',
        **kwargs,
    ) -> None:
        super().__init__(class_weight=class_weight, loss_name=loss_name, **kwargs)
        check_arguments(ACCEPTED, gamma=gamma)
        self.gamma = gamma

    def per_pixel(
        self, cls_score: Tensor, label: Tensor, ignore_index: int
    ) -> tuple[Tensor, Tensor | float]:
        valid = label != ignore_index
        log_p = cls_score.log_softmax(dim=1)
        options: dict[str, Any] = dict(ignore_index=ignore_index, reduction='none')
        own = F.nll_loss(log_p, label, **options)  # -log p_l, 0 at void
        loss = F.nll_loss(log_p, label, class_weight_for(cls_score, self.class_weight), **options)
        # Where p_l rounds to 1, the power of a gamma below 1 would have an infinite gradient.
        wrong = -torch.expm1(-own.clamp(min=torch.finfo(own.dtype).tiny))
        return wrong**self.gamma * loss, valid.sum()


@MODELS.register_module()
@explains_unknown_arguments
class OHEMPixelLoss(PixelLoss):
    """Cross entropy of the hardest pixels of the batch; that of all others is 0.

    Online hard example mining (Shrivastava et al. 2016) over pixels. A mean counts the pixels
    that are kept.

    Args:
        keep_ratio: Share of the label's pixels that is kept, above 0, at most 1. Void pixels
            have no loss and are never kept.
        class_weight: Counts in what is hard; see :class:`PixelLoss` for it and the rest.
        loss_name: Name in the log.
        **kwargs: ``reduction`` and ``loss_weight``.
    """

    def __init__(
        self,
        keep_ratio: float = 0.25,
        class_weight: list[float] | str | None = None,
        loss_name: str = 'loss_ohem',
        **kwargs,
    ) -> None:
        super().__init__(class_weight=class_weight, loss_name=loss_name, **kwargs)
        check_arguments(ACCEPTED, keep_ratio=keep_ratio)
        self.keep_ratio = keep_ratio

    def per_pixel(
        self, cls_score: Tensor, label: Tensor, ignore_index: int
    ) -> tuple[Tensor, Tensor | float]:
        valid = label != ignore_index
        weight = class_weight_for(cls_score, self.class_weight)
        loss = F.cross_entropy(
            cls_score, label, weight, ignore_index=ignore_index, reduction='none'
        )
        # The number is known on the host: nothing waits for a GPU. Equals are kept together.
        dropped = label.numel() - max(1, round(self.keep_ratio * label.numel()))
        easiest = loss.detach().flatten().kthvalue(dropped + 1).values
        kept = valid & (loss.detach() >= easiest)
        return loss * kept, kept.sum()
