"""A training sample as Boundary-aware Loss sees it: image, label, edges and weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from .panels import paint, strip_ticks


@dataclass
class WeightSample:
    """One crop, as the model gets it.

    Args:
        name: Title of the picture.
        image: RGB, uint8 (H, W, 3).
        label: Classes or void, (H, W).
        edges: E, the sum of all classes' edges, (H, W), 0..3.
        weight: E_G, (H, W).
    """

    name: str
    image: np.ndarray
    label: np.ndarray
    edges: np.ndarray
    weight: np.ndarray


def weight_figure(sample: WeightSample, palette: Sequence, ignore_index: int = 255) -> Figure:
    """Draw the four panels of a sample, with the mean and the range of E_G in a title."""
    height, width = sample.label.shape
    figure = Figure(figsize=(13, 0.7 + 3.1 * height / width), layout='constrained')
    axes = figure.subplots(1, 4)
    weight = sample.weight
    axes[0].imshow(sample.image)
    axes[1].imshow(paint(sample.label, palette, ignore_index))
    for ax, field in zip(axes[2:], (sample.edges, weight), strict=True):
        drawn = ax.imshow(field, cmap='inferno', vmin=0, interpolation='none')
        figure.colorbar(drawn, ax=ax, fraction=0.035, pad=0.01).ax.tick_params(labelsize=7)
    titles = (
        sample.name,
        f'label, {width} x {height}',
        f'edges $E$, {(sample.edges > 0).mean():.1%} of the pixels',
        f'weights $E_G$: mean {weight.mean():.2f}, {weight.min():.2f} to {weight.max():.2f}',
    )
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, fontsize=9)
    strip_ticks(axes)
    return figure
