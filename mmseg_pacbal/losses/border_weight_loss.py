"""Cross entropy weighted as in U-Net (Ronneberger et al. 2015), to compare with."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ..ops.border_weight import border_weight_map, check_border_weight_args
from .base import PixelLoss


class BorderWeightLoss(PixelLoss):
    """Per-pixel cross entropy times :func:`mmseg_pacbal.ops.border_weight_map`.

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
        check_border_weight_args(w0=w0, sigma=sigma, background=background)
        self.map_args: dict[str, Any] = dict(w0=w0, sigma=sigma, background=background)

    def per_pixel(
        self, logits: Tensor, label: Tensor, ignore_index: int, **kwargs: Any
    ) -> tuple[Tensor, Tensor | float]:
        weight = None if self.class_weight is None else self.class_weight.to(logits)
        loss = F.cross_entropy(logits, label, weight, ignore_index=ignore_index, reduction='none')
        border = border_weight_map(label, ignore_index=ignore_index, **self.map_args)
        return loss * border.to(loss.dtype), label.numel()
