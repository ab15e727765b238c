"""Cross entropy of the hardest pixels."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ..ops.arguments import Accepted, check_arguments, is_number
from .base import PixelLoss

KEEP_RATIO = Accepted('above 0 and at most 1', lambda v: is_number(v) and 0 < v <= 1)


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
        weight = None if self.class_weight is None else self.class_weight.to(logits)
        loss = F.cross_entropy(logits, label, weight, ignore_index=ignore_index, reduction='none')
        # The number is known on the host: nothing waits for a GPU. Equals are kept together.
        # Not kthvalue, which on a GPU torch.use_deterministic_algorithms refuses.
        number = max(1, round(self.keep_ratio * label.numel()))
        easiest = loss.detach().flatten().topk(number, sorted=False).values.min()
        kept = (label != ignore_index) & (loss.detach() >= easiest)
        return loss * kept, kept.sum()
