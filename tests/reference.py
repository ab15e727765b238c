"""What tests alone compare with, from the plain forms in ``mmseg_pacbal.ops.reference``."""

import torch
from torch import Tensor

from mmseg_pacbal.ops.reference import boundary_weight_map_reference, class_edges_reference


def boundary_edges_reference(label: Tensor, **options) -> Tensor:
    """Eq. 1, summed over classes: (N, H, W) integer -> (N, H, W) float64."""
    return torch.stack([class_edges_reference(image, **options).sum(0) for image in label])


def weighted_loss_reference(
    cls_score: Tensor,
    label: Tensor,
    *,
    class_weight: list[float] | None = None,
    avg_non_ignore: bool = False,
    ignore_index: int = 255,
    **map_args,
) -> Tensor:
    """Eq. 4: logits (N, C, H, W) and label (N, H, W) -> scalar float64.

    ``map_args`` are those of :func:`boundary_weight_map_reference`.
    """
    valid = label != ignore_index
    target = torch.where(valid, label, 0).long()
    log_probability = cls_score.double().log_softmax(dim=1)
    loss = -log_probability.gather(1, target[:, None])[:, 0] * valid
    if class_weight is not None:
        loss = loss * loss.new_tensor(class_weight)[target]
    weight = boundary_weight_map_reference(label, ignore_index=ignore_index, **map_args)
    n = valid.sum() if avg_non_ignore else label.numel()
    return (weight * loss).sum() / n
