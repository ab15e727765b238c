"""Losses to compare with Boundary-aware Loss: U-Net's weights, focal loss, hard pixels."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops.arguments import NON_NEGATIVE, Accepted, check_arguments, is_number
from ..ops.border_weight import ACCEPTED, border_weight_map
from .base import PixelLoss
from .class_weight import times_class_weight

KEEP_RATIO = Accepted('above 0 and at most 1', lambda v: is_number(v) and 0 < v <= 1)


class BorderWeightLoss(PixelLoss):
    """Per-pixel cross entropy times :func:`mmseg_pacbal.ops.border_weight_map`, as in U-Net.

    A mean counts all pixels, void included, as those of ``BoundaryAwareLoss`` and of
    MMSegmentation's cross entropy do.

    Args:
        w0: Weight at a border, in addition to the 1 that every pixel has.
        sigma: Width of the border, in pixels.
        background: The class that is not an object, if there is one.
        class_weight: U-Net's w_c as a factor; see :class:`PixelLoss` for it and the rest.
        loss_name: Name in the log.
        **kwargs: ``reduction``, ``loss_weight`` and ``ignore_index``.
    """

    def __init__(
        self,
        w0: float = 10.0,
        sigma: float = 5.0,
        background: int | None = None,
        class_weight: Sequence[float] | Tensor | str | None = None,
        loss_name: str = 'loss_border',
        **kwargs: Any,
    ) -> None:
        super().__init__(class_weight=class_weight, loss_name=loss_name, **kwargs)
        self.map_args: dict[str, Any] = dict(w0=w0, sigma=sigma, background=background)
        check_arguments(ACCEPTED, **self.map_args)

    def per_pixel(
        self, logits: Tensor, label: Tensor, ignore_index: int, **kwargs: Any
    ) -> tuple[Tensor, Tensor | float]:
        loss = self.cross_entropy(logits, label, ignore_index)
        border = border_weight_map(label, ignore_index=ignore_index, **self.map_args)
        return loss * border.to(loss.dtype), label.numel()


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
        nll = F.nll_loss(log_p, label, ignore_index=ignore_index, reduction='none')  # -log p_l
        loss = times_class_weight(nll, self.class_weight, label, ignore_index)
        # Where p_l rounds to 1, the power of a gamma below 1 would have an infinite gradient.
        wrong = -torch.expm1(-nll.clamp(min=torch.finfo(nll.dtype).tiny))
        return wrong**self.gamma * loss, (label != ignore_index).sum()


class OHEMPixelLoss(PixelLoss):
    """Cross entropy of the hardest pixels of the batch; that of all others is 0.

    Online hard example mining (Shrivastava et al. 2016) over pixels. A mean counts the pixels
    that are kept. ``OhemCrossEntropy`` of MMSegmentation 1.2.2 gives one number for a batch.

    Args:
        keep_ratio: Share of the label's pixels that is kept, above 0, at most 1. Void pixels
            have no loss and are never kept.
        class_weight: Also used to decide which pixels are hard; see :class:`PixelLoss` for it and
            the rest.
        loss_name: Name in the log.
        **kwargs: ``reduction``, ``loss_weight`` and ``ignore_index``.
    """

    def __init__(
        self,
        keep_ratio: float = 0.25,
        class_weight: Sequence[float] | Tensor | str | None = None,
        loss_name: str = 'loss_ohem',
        **kwargs: Any,
    ) -> None:
        super().__init__(class_weight=class_weight, loss_name=loss_name, **kwargs)
        check_arguments(dict(keep_ratio=KEEP_RATIO), keep_ratio=keep_ratio)
        self.keep_ratio = keep_ratio

    def per_pixel(
        self, logits: Tensor, label: Tensor, ignore_index: int, **kwargs: Any
    ) -> tuple[Tensor, Tensor | float]:
        loss = self.cross_entropy(logits, label, ignore_index)
        # The number is known on the host: nothing waits for a GPU. Equals are kept together.
        # Not kthvalue, which on a GPU torch.use_deterministic_algorithms refuses.
        number = max(1, round(self.keep_ratio * label.numel()))
        easiest = loss.detach().flatten().topk(number, sorted=False).values.min()
        kept = (label != ignore_index) & (loss.detach() >= easiest)
        return loss * kept, kept.sum()
