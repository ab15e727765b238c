"""Boundary measures of batches of tensors, in three steps: check, count, compute scores.

:class:`BoundaryQuality` consists of these; they do not need torchmetrics.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..ops.arguments import BOOL, INT, Accepted, check_arguments, check_tensor, is_int, none_or
from .boundary_scores import ARGUMENTS, Counts, boundary_counts, boundary_scores, no_counts
from .label_counts import class_maps, class_mean, reject_nan

PER_CLASS = '_per_class'  # ends the names of what holds a score of each class
ACCEPTED = dict(
    ARGUMENTS,
    num_classes=Accepted(
        'a positive integer up to 65535',
        lambda value: is_int(value) and 0 < value < 2**16,  # maps are uint16
    ),
    ignore_index=none_or(INT),
    per_class=BOOL,
)


def check_settings(**arguments: object) -> None:
    """Raise ValueError unless every argument is one that ``ACCEPTED`` describes."""
    check_arguments(ACCEPTED, **arguments)


def check_batch(preds: Tensor, target: Tensor, num_classes: int) -> None:
    """Raise TypeError or ValueError unless shapes and dtypes are those of ``update``."""
    check_tensor('preds', preds)
    check_tensor('target', target)
    if target.ndim != 3 or not _holds_integers(target) or 0 in target.shape[1:]:
        raise ValueError(
            'target must hold classes as integers, (N, H, W), but got '
            f'{_described(target)}; target.squeeze(1) removes a channel, target.argmax(1) converts '
            'one-hot labels'
        )
    is_logits = preds.ndim == 4 and preds.is_floating_point() and preds.shape[1] == num_classes
    is_classes = preds.ndim == 3 and _holds_integers(preds)
    if not is_logits and not is_classes:
        raise ValueError(
            f'preds must be logits, floating point, (N, C, H, W), with C = num_classes = '
            f'{num_classes}, or classes as integers, (N, H, W), but got {_described(preds)}; with '
            'one logit for each pixel, give (preds > 0).squeeze(1)'
        )
    if preds.shape[0] != target.shape[0] or preds.shape[-2:] != target.shape[-2:]:
        raise ValueError(
            f'preds and target must have the same N, H and W, but got {tuple(preds.shape)} and '
            f'{tuple(target.shape)}; resize logits to the size of the label, with '
            'torch.nn.functional.interpolate'
        )


def batch_counts(
    preds: Tensor, target: Tensor, num_classes: int, ignore_index: int | None, **settings: Any
) -> Counts:
    """Counts of a batch, see :func:`boundary_counts`; ``settings`` are those of that function."""
    check_batch(preds, target, num_classes)
    classes = preds.argmax(dim=1) if preds.ndim == 4 else preds
    # The greatest of values with NaN is NaN.
    nan = preds.amax(dim=1).isnan() if preds.ndim == 4 else torch.zeros_like(classes).bool()
    images = zip(*(maps.detach().cpu().numpy() for maps in (classes, target, nan)), strict=True)
    total = no_counts(num_classes, settings['widths'])
    for index, (prediction, truth, no_class) in enumerate(images):
        try:
            maps = class_maps(prediction, truth, num_classes, ignore_index)
            reject_nan(no_class & (maps[1] != num_classes))
        except ValueError as error:
            raise ValueError(f'image {index} of the batch: {error}') from error
        counts = boundary_counts(*maps, num_classes, **settings)
        total = {name: total[name] + count for name, count in counts.items()}
    return total


def batch_scores(
    counts: Counts, widths: Sequence[int], per_class: bool
) -> dict[str, np.ndarray | float]:
    """Means of the scores of :func:`boundary_scores`, and with ``per_class`` the scores, (C,)."""
    scores = boundary_scores(counts, widths)
    means = {name: class_mean(score) for name, score in scores.items()}
    return means | ({name + PER_CLASS: s for name, s in scores.items()} if per_class else {})


def _holds_integers(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() and not tensor.is_complex()


def _described(tensor: Tensor) -> str:
    return f'{str(tensor.dtype).removeprefix("torch.")} {tuple(tensor.shape)}'
