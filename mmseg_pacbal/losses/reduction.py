"""What the losses of this package share: their arguments, and the way to a scalar."""

import torch
from mmseg.models.losses.utils import get_class_weight
from torch import Tensor, nn

from ..ops.arguments import Accepted, check_tensor
from ..ops.boundary_weight import check_label

CLASS_WEIGHT = Accepted(
    'None, or a list, or the name of a file (npy, pkl, json, yaml), of a finite number, 0 or '
    'more, for each class',
    lambda weight: (
        weight is None or (weight.dim() == 1 and weight.isfinite().all() and (weight >= 0).all())
    ),
)


def register_class_weight(loss: nn.Module, class_weight: list[float] | str | None) -> None:
    """Keep class_weight, a list or the name of a file, as a buffer (C,) or None.

    A buffer goes to the GPU with the model; a list would be copied there in every step.
    """
    try:
        weight = get_class_weight(class_weight)
        weight = weight if weight is None else torch.as_tensor(weight, dtype=torch.float32)
        accepted = CLASS_WEIGHT.test(weight)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'class_weight must be {CLASS_WEIGHT.words}, but there is no file {class_weight!r}'
        ) from error
    except (TypeError, ValueError, RuntimeError):
        accepted = False
    if not accepted:
        raise ValueError(f'class_weight must be {CLASS_WEIGHT.words}, but got {class_weight!r}')
    loss.register_buffer('class_weight', weight, persistent=False)


def class_weight_for(cls_score: Tensor, weight: Tensor | None) -> Tensor | None:
    """A class_weight, (C,), as F.cross_entropy takes it with these logits, (N, C, ...)."""
    if weight is None:
        return None
    if len(weight) != cls_score.shape[1]:
        raise ValueError(
            f'class_weight has {len(weight)} entries, but cls_score has {cls_score.shape[1]} '
            'channels; give one for each class'
        )
    return weight.to(cls_score)


def check_scores(cls_score: Tensor, label: Tensor) -> None:
    """Raise unless cls_score is (N, C, H, W), floating, and label (N, H, W), integer."""
    check_label(label)
    check_tensor('cls_score', cls_score)
    if cls_score.dim() != 4 or not cls_score.is_floating_point():
        raise ValueError(
            f'cls_score must be floating, (N, C, H, W), but got {cls_score.dtype} '
            f'{tuple(cls_score.shape)}'
        )
    expected = (cls_score.shape[0], *cls_score.shape[2:])
    if label.shape != expected:
        raise ValueError(
            f'label must be {expected} for cls_score {tuple(cls_score.shape)}, '
            f'but got {tuple(label.shape)}'
        )


def check_pixel_weight(weight: Tensor, label: Tensor) -> None:
    """Raise unless weight is (N, H, W) as label is, or (N, 1, H, W)."""
    check_tensor('weight', weight)
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
