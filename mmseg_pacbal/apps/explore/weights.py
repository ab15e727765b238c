"""What a setting does to a label: edges, weights, and how they depend on the label's place."""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ...losses import BoundaryAwareLoss
from ...ops import boundary_edges
from .samples import LabelSample
from .settings import Settings

OFFSET_SIDE = 512  # the offsets are compared in the middle of a larger label
OffsetEffect = tuple[list[float], list[float], float]


@lru_cache(8)  # the setting that stays is not computed anew
def weights(sample: LabelSample, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """E, uint8 (H, W), 0..3, and E_G as the loss applies it, float32 (H, W)."""
    label = as_tensor(sample.label)
    edges = boundary_edges(
        label,
        void_edges=settings.void_edges,
        ignore_padding=settings.ignore_padding,
        ignore_index=settings.ignore_index,
    )
    weight = BoundaryAwareLoss(**settings._asdict()).weight_map(label)
    return edges[0].byte().numpy(), weight[0].numpy()


@lru_cache(8)
def offset_effect(sample: LabelSample, settings: Settings) -> OffsetEffect:
    """How E_G, not normalised, depends on where a label lies in the grid of the shrunken edges.

    The label is moved by 0 to ``downsample - 1`` pixels to the right and down, its frame repeated;
    the weights are compared at the same pixels of the label.

    Returns:
        Mean and peak at each offset, NaN if all is void, and the deviation of a pixel's weight over
        the offsets, as a share of the mean weight without beta.
    """
    loss = BoundaryAwareLoss(**settings._replace(normalize=None)._asdict())
    top, left = (max(0, length - OFFSET_SIDE) // 2 for length in sample.label.shape)
    label = sample.label[top : top + OFFSET_SIDE, left : left + OFFSET_SIDE]
    valid = label != settings.ignore_index
    if not valid.any():
        none = [math.nan] * settings.downsample
        return none, none, math.nan
    maps = []
    for k in range(settings.downsample):
        moved = np.pad(label, ((k, 0), (k, 0)), mode='edge')
        maps.append(loss.weight_map(as_tensor(moved))[0, k:, k:].numpy()[valid])
    stack = np.stack(maps)
    blurred = float(stack.mean(dtype=np.float64)) - settings.beta
    deviation = float(stack.std(axis=0).mean(dtype=np.float64)) / blurred if blurred > 1e-6 else 0.0
    return stack.mean(axis=1, dtype=np.float64).tolist(), stack.max(axis=1).tolist(), deviation


def best_line(label: np.ndarray, axis: int) -> int:
    """The row (axis 0) or column (1) that crosses the most boundaries, of several the middle."""
    lines = label.T if axis else label
    crossings = (lines[:, 1:] != lines[:, :-1]).sum(1)
    best = np.flatnonzero(crossings == crossings.max())
    return int(best[np.abs(best - len(lines) // 2).argmin()])


def as_tensor(label: np.ndarray) -> Tensor:
    """uint8 (H, W) -> int16 (1, H, W), which any usual ignore_index can be compared with."""
    return torch.from_numpy(label.astype(np.int16))[None]
