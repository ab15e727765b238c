"""Figures 4, 5 and 7 of the paper, and two models side by side, at the width of a page."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from .panels import PanelRow, class_patches, even_columns, labels_of, paint, strip_ticks
from .weights import WeightSample

# In inches. Most papers have pages of this width, at which the fonts are legible in print.
PAGE_WIDTH = 7.0
GAP = 0.04  # between panels
TITLE = 0.2  # above the panels
BAR = 0.6  # to the right of them, with its label
LEGEND_LINE = 0.17  # of the class legend below them
FONT_SIZE = 8


def loss_figure(
    rows: Sequence[PanelRow],
    classes: Sequence[str],
    palette: Sequence,
    loss_name: str = 'cross entropy',
) -> Figure:
    """Fig. 4: image, truth, prediction and loss of every pixel, a row for each image.

    The loss has one scale for all rows, which ends at the 99.5th percentile: otherwise a few
    pixels would make all others dark.
    """
    legend = class_patches(classes, palette, labels_of(rows))
    figure, axes = _grid([_aspect(row.image) for row in rows], 4, legend, right=BAR)
    largest = np.percentile(np.concatenate([row.loss.ravel() for row in rows]), 99.5)
    for line, row in zip(axes, rows, strict=True):
        line[0].imshow(row.image)
        line[1].imshow(paint(row.label, palette))
        line[2].imshow(paint(row.prediction, palette))
        drawn = line[3].imshow(row.loss, cmap='inferno', vmin=0, vmax=max(largest, 1e-6))
    _colour_bar(figure, drawn, axes, loss_name, extend='max')
    _title(axes[0], 'image', 'ground truth', 'prediction', 'loss')
    return figure


def edge_figure(
    samples: Sequence[WeightSample],
    classes: Sequence[str],
    palette: Sequence,
    weight_name: str = '$E_G$',
) -> Figure:
    """Fig. 5: image, label, boundary edges and Gaussian edge E_G, a row for each image.

    Edges are white where E is not 0. E_G has one scale for all rows.
    """
    legend = class_patches(classes, palette, [sample.label for sample in samples])
    figure, axes = _grid([_aspect(sample.image) for sample in samples], 4, legend, right=BAR)
    largest = max(sample.weight.max() for sample in samples)
    for line, sample in zip(axes, samples, strict=True):
        line[0].imshow(sample.image)
        line[1].imshow(paint(sample.label, palette))
        line[2].imshow(sample.edges > 0, cmap='gray', vmin=0, vmax=1)
        drawn = line[3].imshow(sample.weight, cmap='inferno', vmin=0, vmax=largest)
    _colour_bar(figure, drawn, axes, weight_name)
    _title(axes[0], 'image', 'label $l$', 'boundary edge $E$', 'Gaussian edge $E_G$')
    return figure


def qualitative_figure(
    rows: Sequence[PanelRow], classes: Sequence[str], palette: Sequence
) -> Figure:
    """Fig. 7: image, truth and prediction; two images side by side if there are four or more."""
    groups = 1 if len(rows) < 4 else 2
    lines = [rows[i : i + groups] for i in range(0, len(rows), groups)]
    aspects = [max(_aspect(row.image) for row in line) for line in lines]
    legend = class_patches(classes, palette, labels_of(rows))
    figure, axes = _grid(aspects, 3 * groups, legend)
    cells = axes.reshape(len(lines) * groups, 3)
    for cell, row in zip(cells, rows, strict=False):
        cell[0].imshow(row.image)
        cell[1].imshow(paint(row.label, palette))
        cell[2].imshow(paint(row.prediction, palette))
    for ax in cells[len(rows) :].flat:
        ax.set_axis_off()
    _title(axes[0], *('image', 'ground truth', 'prediction') * groups)
    return figure


def comparison_figure(
    rows: Sequence[PanelRow],
    others: Sequence[PanelRow],
    names: Sequence[str],
    classes: Sequence[str],
    palette: Sequence,
    weight_name: str = '$E_G$',
) -> Figure:
    """Image, truth, predictions of two models and the boundary weights, a row for each image.

    Args:
        rows: Of one model.
        others: The same images of the other model, whose weights are shown, on one scale.
        names: What the two are called.
        classes: Names of the classes.
        palette: Their colours.
        weight_name: Label of the weights' scale.
    """
    legend = class_patches(classes, palette, labels_of([*rows, *others]))
    figure, axes = _grid([_aspect(row.image) for row in rows], 5, legend, right=BAR)
    largest = max(row.weight.max() for row in others)
    for line, row, other in zip(axes, rows, others, strict=True):
        line[0].imshow(row.image)
        for ax, label in zip(line[1:4], (row.label, row.prediction, other.prediction), strict=True):
            ax.imshow(paint(label, palette))
        drawn = line[4].imshow(other.weight, cmap='inferno', vmin=0, vmax=largest)
    _colour_bar(figure, drawn, axes, weight_name)
    _title(axes[0], 'image', 'ground truth', *names, 'boundary weights')
    return figure


def _grid(
    aspects: Sequence[float], columns: int, legend: Sequence[Patch], right: float = 0
) -> tuple[Figure, np.ndarray]:
    """Panels of equal width, each line as high as its images are (aspect: height / width).

    They are positioned explicitly: a layout engine leaves gaps between panels of a fixed aspect.

    Args:
        aspects: One for each line.
        columns: Number of panels in a line.
        legend: Entries of the class legend below the panels.
        right: Space to leave free to the right of them, in inches.
    """
    legend_columns = even_columns(len(legend), 7)
    legend_lines = math.ceil(len(legend) / legend_columns)
    width = (PAGE_WIDTH - right) / columns - GAP
    below = (legend_lines + 1) * LEGEND_LINE
    height = TITLE + sum(width * aspect + GAP for aspect in aspects) + below
    figure = Figure(figsize=(PAGE_WIDTH, height))
    axes = np.empty((len(aspects), columns), dtype=object)
    bottom = height - TITLE
    for line, aspect in zip(axes, aspects, strict=True):
        bottom -= width * aspect
        for column in range(columns):
            inches = np.array([GAP / 2 + column * (width + GAP), bottom, width, width * aspect])
            page = [PAGE_WIDTH, height, PAGE_WIDTH, height]
            line[column] = figure.add_axes(tuple(inches / page))
        bottom -= GAP
    strip_ticks(axes.flat)
    figure.legend(
        handles=legend,
        loc='lower center',
        ncols=legend_columns,
        fontsize=FONT_SIZE,
        handlelength=1.5,
        columnspacing=1.0,
        borderaxespad=0.2,
    )
    return figure, axes


def _colour_bar(
    figure: Figure, drawn: AxesImage, axes: np.ndarray, name: str, extend: str = 'neither'
) -> None:
    first, last = axes[0, -1].get_position(), axes[-1, -1].get_position()
    left = first.x1 + 2 * GAP / PAGE_WIDTH
    place = (left, last.y0, 3 * GAP / PAGE_WIDTH, first.y1 - last.y0)
    bar = figure.colorbar(drawn, cax=figure.add_axes(place), extend=extend, extendfrac=0.02)
    bar.set_label(name, fontsize=FONT_SIZE)
    bar.ax.tick_params(labelsize=FONT_SIZE - 1)


def _title(axes: Sequence[Axes], *titles: str) -> None:
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, fontsize=FONT_SIZE, pad=3)


def _aspect(image: np.ndarray) -> float:
    return image.shape[0] / image.shape[1]
