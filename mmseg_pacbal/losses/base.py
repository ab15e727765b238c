"""The base of per-pixel losses."""

import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.arguments import (
    INT,
    NON_NEGATIVE,
    Accepted,
    check_arguments,
    check_tensor,
    none_or,
    one_of,
    reject_unknown_arguments,
)
from ..ops.boundary_weight import integer_label
from .averages import mean_of_processes
from .class_weight import CLASS_WEIGHT, read_class_weight
from .label_check import LabelCheck

ACCEPTED = dict(
    reduction=one_of('none', 'mean', 'sum'),
    loss_weight=NON_NEGATIVE,
    class_weight=CLASS_WEIGHT,
    loss_name=Accepted("a name such as 'loss_bal'", lambda v: isinstance(v, str) and v != ''),
    ignore_index=none_or(INT),
    avg_factor=Accepted(
        'None, a finite number, 0 or more, or a tensor of one',
        lambda v: v is None or NON_NEGATIVE.test(v) or (torch.is_tensor(v) and v.numel() == 1),
    ),
)
VOID = 255
EPS = torch.finfo(torch.float32).eps


class PixelLoss(nn.Module):
    """Base of losses that have a value for every pixel, 0 at void.

    They are computed in float32 or better, under autocast too.

    In training with several processes, each process divides its sum by the mean of all their
    counts. As DDP averages the gradients, loss and gradients are those of one process with the
    whole batch, however its pixels are divided among the processes.

    Args:
        class_weight: Factor for each class, a list or the name of a file (npy, json, yaml); void
            needs none.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
        loss_weight: Factor of the result.
        loss_name: Name in the log of MMSegmentation, which trains only losses whose name begins
            with ``loss_``.
        ignore_index: The void label, for training loops that call a loss with logits and label
            only. With None it is what the call says (MMSegmentation's heads do), else 255.

    Raises:
        ValueError: An argument is not one of those above.
        TypeError: An argument is unknown.
    """

    class_weight: Tensor | None

    def __init__(
        self,
        class_weight: Sequence[float] | Tensor | str | None = None,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        loss_name: str = 'loss_pixel',
        ignore_index: int | None = None,
        **unknown: NoReturn,
    ) -> None:
        super().__init__()
        reject_unknown_arguments(type(self), unknown)
        if isinstance(class_weight, str):
            class_weight = read_class_weight(class_weight)
        check_arguments(
            ACCEPTED,
            class_weight=class_weight,
            reduction=reduction,
            loss_weight=loss_weight,
            loss_name=loss_name,
            ignore_index=ignore_index,
        )
        factors = None if class_weight is None else torch.as_tensor(class_weight).float()
        # A buffer goes to the GPU with the model; a list would be copied there in every step.
        self.register_buffer('class_weight', factors, persistent=False)
        self.reduction = reduction
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.ignore_index = ignore_index
        self._check_label = LabelCheck()

    def forward(
        self,
        logits: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        ignore_index: int | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Loss of a batch.

        Args:
            logits: (N, C, H, W).
            label: Classes or void, (N, H, W), integer or, for two classes without void, bool.
            weight: Further factor of every pixel, (N, H, W) or (N, 1, H, W).
            avg_factor: Replaces the loss's own count of pixels as the divisor of a mean.
            reduction_override: Replaces ``reduction``.
            ignore_index: The void label, where the loss was not made with one.
            **kwargs: For :meth:`per_pixel`, which ignores what it does not know: MMSegmentation
                passes what other losses need.

        Returns:
            A scalar, or (N, H, W) for reduction ``'none'``.

        Raises:
            ValueError: Sizes differ, a label is neither a class nor void (on a GPU reported by
                a later call), avg_factor is combined with ``'sum'``, or the loss was made with
                another ignore_index.
            TypeError: logits, label or weight is not a tensor, or label does not hold integers.
        """
        reduction = reduction_override or self.reduction
        check_arguments(
            ACCEPTED, reduction=reduction, avg_factor=avg_factor, ignore_index=ignore_index
        )
        if avg_factor is not None and reduction == 'sum':
            raise ValueError("avg_factor goes with reduction='mean', but reduction is 'sum'")
        ignore_index = self.resolve_ignore_index(ignore_index)
        label = integer_label(label).long()
        self._check_sizes(logits, label)
        if weight is not None:
            check_pixel_weight('weight', weight, label)
        label = self._check_label(label, self._num_classes(logits), ignore_index)
        with torch.autocast(logits.device.type, enabled=False):
            if logits.dtype in (torch.float16, torch.bfloat16):
                logits = logits.float()
            loss, n = self.per_pixel(logits, label, ignore_index, **kwargs)  # (N, H, W)
            if weight is not None:
                loss = loss * weight.reshape(loss.shape).to(loss.dtype)
            if reduction == 'sum':
                loss = loss.sum()
            elif reduction == 'mean':
                divisor = self.divisor(n, loss.device) if avg_factor is None else avg_factor + EPS
                loss = loss.sum() / divisor
            return self.loss_weight * loss

    def resolve_ignore_index(self, ignore_index: int | None) -> int:
        """The void label: of a call, else of this loss, else 255.

        Raises:
            ValueError: Call and loss differ.
        """
        if ignore_index is None:
            return VOID if self.ignore_index is None else self.ignore_index
        if self.ignore_index not in (None, ignore_index):
            raise ValueError(
                f'ignore_index of {type(self).__name__} is {self.ignore_index}, but it was called '
                f'with {ignore_index}, in MMSegmentation the ignore_index of the head; give the '
                'void label in one of these places'
            )
        return ignore_index

    def void(self, ignore_index: int | None) -> int:
        """Earlier name of :meth:`resolve_ignore_index`."""
        message = 'void is named resolve_ignore_index now; version 2.0 removes the earlier name'
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return self.resolve_ignore_index(ignore_index)

    def cross_entropy(self, logits: Tensor, label: Tensor, ignore_index: int) -> Tensor:
        """Cross entropy of every pixel times its class weight, (N, H, W), 0 at void."""
        weight = None if self.class_weight is None else self.class_weight.to(logits)
        return F.cross_entropy(logits, label, weight, ignore_index=ignore_index, reduction='none')

    def _num_classes(self, logits: Tensor) -> int:
        """How many classes labels may have with these logits, (N, C, H, W)."""
        return logits.shape[1]

    def _check_sizes(self, logits: Tensor, label: Tensor) -> None:
        check_tensor('logits', logits)
        shape = tuple(logits.shape)
        if len(shape) != 4 or not logits.is_floating_point():
            raise ValueError(
                f'logits must be floating, (N, C, H, W), but got {logits.dtype} {shape}'
            )
        expected = (shape[0], *shape[2:])
        if label.shape != expected:
            enlarge = "; enlarge them by F.interpolate(logits, label.shape[1:], mode='bilinear')"
            raise ValueError(
                f'label must be {expected} for logits {shape}, but got {tuple(label.shape)}'
                f'{enlarge if label.dim() == 3 and len(label) == shape[0] else ""}'
            )
        if self.class_weight is not None and len(self.class_weight) != shape[1]:
            raise ValueError(
                f'class_weight has {len(self.class_weight)} entries, but logits has {shape[1]} '
                'channels; give one for each class'
            )

    def per_pixel(
        self, logits: Tensor, label: Tensor, ignore_index: int, **kwargs: Any
    ) -> tuple[Tensor, Tensor | float]:
        """The loss of every pixel, (N, H, W), and the number of pixels that a mean counts."""
        raise NotImplementedError

    def divisor(self, n: Tensor | float, device: torch.device) -> Tensor | float:
        """What a sum over the pixels of this process is divided by for a mean over n of them."""
        (n,) = mean_of_processes(n, training=self.training, device=device)
        return n + EPS  # as MMSegmentation does: nothing divided by 0 pixels is 0, not NaN


def check_pixel_weight(name: str, weight: Tensor, label: Tensor) -> None:
    """Raise unless weight is a tensor (N, H, W) as label is, or (N, 1, H, W)."""
    check_tensor(name, weight)
    n, *size = label.shape
    if tuple(weight.shape) not in ((n, *size), (n, 1, *size)):
        raise ValueError(f'{name} must be {(n, *size)} as label is, but got {tuple(weight.shape)}')
