"""What the losses of this package share: their arguments, and the way to a scalar."""

import math

import torch
from mmseg.models.losses.utils import get_class_weight
from torch import Tensor, nn

from ...ops.boundary_weight import check_label

REDUCTIONS = ('none', 'mean', 'sum')


def checked_reduction(reduction: str) -> str:
    if reduction not in REDUCTIONS:
        raise ValueError(f'reduction must be one of {REDUCTIONS}, but got {reduction!r}')
    return reduction


def checked_number(name: str, value: float) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise ValueError(f'{name} must be a finite number, 0 or more, but got {value!r}')
    return value


def register_class_weight(loss: nn.Module, class_weight: list[float] | str | None) -> None:
    """Keep class_weight, a list or the name of a file, as a buffer (C,) or None.

    A buffer goes to the GPU with the model; a list would be copied there in every step.
    """
    weight = get_class_weight(class_weight)
    if weight is not None:
        weight = torch.as_tensor(weight, dtype=torch.float32)
        if weight.dim() != 1 or not weight.isfinite().all() or (weight < 0).any():
            raise ValueError(
                'class_weight must hold a finite number, 0 or more, for each class, '
                f'but got {class_weight!r}'
            )
    loss.register_buffer('class_weight', weight, persistent=False)


def class_weight_of(loss: nn.Module, cls_score: Tensor) -> Tensor | None:
    """The class_weight of a loss as F.cross_entropy takes it with these logits, (N, C, ...)."""
    weight = loss.class_weight
    if weight is None:
        return None
    if len(weight) != cls_score.shape[1]:
        raise ValueError(
            f'class_weight has {len(weight)} entries, but cls_score has {cls_score.shape[1]} '
            'channels; give one for each class'
        )
    return weight.to(cls_score)


def check_scores(cls_score: Tensor, label: Tensor) -> None:
    """Raise unless cls_score is (N, C, H, W) and label (N, H, W), integer."""
    check_label(label)
    if cls_score.dim() != 4:
        raise ValueError(f'cls_score must be (N, C, H, W), but got {tuple(cls_score.shape)}')
    expected = (cls_score.shape[0], *cls_score.shape[2:])
    if label.shape != expected:
        raise ValueError(
            f'label must be {expected} for cls_score {tuple(cls_score.shape)}, '
            f'but got {tuple(label.shape)}'
        )


def check_pixel_weight(weight: Tensor, label: Tensor) -> None:
    """Raise unless weight is (N, H, W) as label is, or (N, 1, H, W)."""
    n, *size = label.shape
    if tuple(weight.shape) not in ((n, *size), (n, 1, *size)):
        raise ValueError(
            f'weight must be {tuple(label.shape)} as label is, but got {tuple(weight.shape)}'
        )


def reduce_pixels(loss: Tensor, reduction: str, n: Tensor | float) -> Tensor:
    """(N, H, W) to itself, its sum, or its sum divided by n."""
    if reduction == 'none':
        return loss
    # As MMSegmentation does, so that an avg_factor of 0 gives no NaN.
    return loss.sum() / (n + torch.finfo(torch.float32).eps) if reduction == 'mean' else loss.sum()
