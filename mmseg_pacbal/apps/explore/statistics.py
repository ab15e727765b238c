"""What a setting does to a label, in numbers."""

from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...ops import boundary_edges, boundary_weight_map
from .memory import BoundedCache
from .samples import LabelSample
from .settings import Settings

BINS = 48  # of the histogram
OFFSET_SIDE = 512  # the offsets are compared in the middle of a larger label
# The other setting, and a label that is looked at again, are not computed anew.
_kept: BoundedCache[Any] = BoundedCache(256 * 2**20)


class Weights(NamedTuple):
    """Edges and weights of a label.

    Attributes:
        edges: E, (H, W), 0..3, uint8.
        weight: E_G as the loss applies it, (H, W), float32.
        valid: Pixels that are not void, bool (H, W).
    """

    edges: np.ndarray
    weight: np.ndarray
    valid: np.ndarray

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self)


class Figures(NamedTuple):
    """What E_G amounts to at the pixels that are not void; NaN if there is none."""

    mean: float
    least: float
    peak: float
    below_one: float


class OffsetEffect(NamedTuple):
    """E_G of a label at all diagonal offsets in the grid of ``downsample`` pixels.

    Attributes:
        mean: Of each offset.
        peak: Of each offset.
        deviation: Of a pixel's weight over the offsets, as a share of the mean weight without
            beta.
    """

    mean: list[float]
    peak: list[float]
    deviation: float


def weights(sample: LabelSample, settings: Settings) -> Weights:
    """Edges and weights of a label."""
    key = (sample.number, settings)
    return _kept.get(key) or _kept.put(key, _weights(sample, settings))


def _weights(sample: LabelSample, settings: Settings) -> Weights:
    label = as_tensor(sample.label)
    edges = boundary_edges(
        label,
        void_edges=settings.void_edges,
        ignore_padding=settings.ignore_padding,
        ignore_index=settings.ignore_index,
    )
    weight = settings.loss().weight_map(label)
    return Weights(
        edges[0].byte().numpy(), weight[0].numpy(), sample.label != settings.ignore_index
    )


def figures(found: Weights) -> Figures:
    """Mean, range and share below 1."""
    values = found.weight[found.valid]
    if not values.size:
        return Figures(*[float('nan')] * 4)
    mean = float(values.mean(dtype=np.float64))
    return Figures(mean, float(values.min()), float(values.max()), float((values < 1).mean()))


def histogram(found: Weights, top: float) -> np.ndarray:
    """Share of the pixels in each of :data:`BINS` equal bins from 0 to ``top``."""
    counts, _ = np.histogram(found.weight[found.valid], BINS, (0, top))
    return counts / max(1, np.count_nonzero(found.valid))


def best_line(label: np.ndarray, column: bool = False) -> int:
    """The row (or column) that crosses the most boundaries, of several the one in the middle."""
    lines = label.T if column else label
    crossings = (lines[:, 1:] != lines[:, :-1]).sum(1)
    best = np.flatnonzero(crossings == crossings.max())
    return int(best[np.abs(best - len(lines) // 2).argmin()])


def line_of(field: np.ndarray, position: int, column: bool = False) -> np.ndarray:
    """A row, or a column, of a map (H, W)."""
    return field[:, position] if column else field[position]


def offset_effect(sample: LabelSample, settings: Settings, antialias: bool) -> OffsetEffect:
    """How E_G, not normalised, depends on where a label lies in the grid of the shrunken edges.

    The label is moved by 0 to ``downsample - 1`` pixels to the right and down, its frame repeated;
    the weights are compared at the same pixels of the label.
    """
    key = (sample.number, settings, antialias)
    return _kept.get(key) or _kept.put(key, _offset_effect(sample, settings, antialias))


def _offset_effect(sample: LabelSample, settings: Settings, antialias: bool) -> OffsetEffect:
    step, label = settings.downsample, _middle(sample.label)
    valid = label != settings.ignore_index
    maps = []
    for k in range(step):
        moved = np.pad(label, ((k, 0), (k, 0)), mode='edge')
        weight = boundary_weight_map(as_tensor(moved), **_map_arguments(settings, antialias))[0]
        maps.append(weight[k:, k:].numpy()[valid])
    stack = np.stack(maps)
    if not stack.size:
        return OffsetEffect([float('nan')] * step, [float('nan')] * step, float('nan'))
    blurred = float(stack.mean(dtype=np.float64)) - settings.beta
    deviation = float(stack.std(axis=0).mean(dtype=np.float64)) / blurred if blurred > 1e-6 else 0.0
    means = stack.mean(axis=1, dtype=np.float64).tolist()
    return OffsetEffect(means, stack.max(axis=1).tolist(), deviation)


def as_tensor(label: np.ndarray) -> Tensor:
    """uint8 (H, W) -> int16 (1, H, W), which any usual ignore_index can be compared with."""
    return torch.from_numpy(label.astype(np.int16))[None]


def _map_arguments(settings: Settings, antialias: bool) -> dict:
    arguments = dict(asdict(settings), antialias=antialias)
    del arguments['normalize']
    return arguments


def _middle(label: np.ndarray) -> np.ndarray:
    top, left = (max(0, side - OFFSET_SIDE) // 2 for side in label.shape)
    return label[top : top + OFFSET_SIDE, left : left + OFFSET_SIDE]
