"""Focal loss over softmax."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops.arguments import NON_NEGATIVE, check_arguments
from .base import PixelLoss


class SoftmaxFocalLoss(PixelLoss):
    r"""Focal loss over softmax: pixels that are already classified correctly count less.

    .. math:: FL = -\alpha_l (1 - p_l)^\gamma \log p_l

    with p the softmax probability of the pixel's class l (Lin et al. 2017, Eq. 5). A mean
    counts the pixels that are not void. ``FocalLoss`` of MMSegmentation 1.2.2 accepts class labels
    on CUDA only.

    Args:
        gamma: 0 is cross entropy; the best value of the paper is 2.
        class_weight: alpha; see :class:`PixelLoss` for it and the rest.
        loss_name: Name in the log.
        **kwargs: ``reduction``, ``loss_weight`` and ``ignore_index``.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        class_weight: Sequence[float] | Tensor | str | None = None,
        loss_name: str = 'loss_focal',
        **kwargs: Any,
    ) -> None:
        super().__init__(class_weight=class_weight, loss_name=loss_name, **kwargs)
        check_arguments(dict(gamma=NON_NEGATIVE), gamma=gamma)
        self.gamma = gamma

    def per_pixel(
        self, logits: Tensor, label: Tensor, ignore_index: int, **kwargs: Any
    ) -> tuple[Tensor, Tensor | float]:
        log_p = logits.log_softmax(dim=1)
        options: dict[str, Any] = dict(ignore_index=ignore_index, reduction='none')
        own = F.nll_loss(log_p, label, **options)  # -log p_l, 0 at void
        weight = None if self.class_weight is None else self.class_weight.to(logits)
        loss = F.nll_loss(log_p, label, weight, **options)
        # Where p_l rounds to 1, the power of a gamma below 1 would have an infinite gradient.
        wrong = -torch.expm1(-own.clamp(min=torch.finfo(own.dtype).tiny))
        return wrong**self.gamma * loss, (label != ignore_index).sum()
