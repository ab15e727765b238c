"""Figures 4, 5 and 7 of the paper, and two models side by side, at the width of a page."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .panels import (
    GAP,
    PAGE_WIDTH,
    TITLE,
    PanelRow,
    WeightSample,
    class_patches,
    draw_panels,
    labels_of,
    paint,
)

BAR = 0.6  # inches to the right of the panels, for the colour bar with its label
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
    lines = [
        [row.image, paint(row.label, palette), paint(row.prediction, palette), row.loss]
        for row in rows
    ]
    largest = np.percentile(np.concatenate([row.loss.ravel() for row in rows]), 99.5)
    titles = ('image', 'ground truth', 'prediction', 'loss')
    bar = dict(name=loss_name, largest=max(largest, 1e-6), extend='max')
    return _figure(lines, titles, class_patches(classes, palette, labels_of(rows)), **bar)


def edge_figure(
    samples: Sequence[WeightSample],
    classes: Sequence[str],
    palette: Sequence,
    weight_name: str = '$E_G$',
) -> Figure:
    """Fig. 5: image, label, boundary edges and Gaussian edge E_G, a row for each image.

    Edges are white where E is not 0. E_G has one scale for all rows.
    """
    lines = [[s.image, paint(s.label, palette), s.edges > 0, s.weight] for s in samples]
    legend = class_patches(classes, palette, [sample.label for sample in samples])
    titles = ('image', 'label $l$', 'boundary edge $E$', 'Gaussian edge $E_G$')
    largest = max(sample.weight.max() for sample in samples)
    return _figure(lines, titles, legend, weight_name, largest)


def qualitative_figure(
    rows: Sequence[PanelRow], classes: Sequence[str], palette: Sequence
) -> Figure:
    """Fig. 7: image, truth and prediction; two images side by side if there are four or more."""
    groups = 1 if len(rows) < 4 else 2
    cells = [[row.image, *(paint(m, palette) for m in (row.label, row.prediction))] for row in rows]
    lines = [list(itertools.chain(*cells[i : i + groups])) for i in range(0, len(rows), groups)]
    titles = ('image', 'ground truth', 'prediction') * groups
    return _figure(lines, titles, class_patches(classes, palette, labels_of(rows)))


def comparison_figure(
    rows: Sequence[PanelRow],
    others: Sequence[PanelRow],
    names: Sequence[str],
    classes: Sequence[str],
    palette: Sequence,
    weight_name: str = '$E_G$',
) -> Figure:
    """Image, truth, predictions of two models and the boundary weights, a row for each image.

    ``rows`` are of the first of the two ``names``, and ``others`` the same images of the other
    model, whose weights are shown, on one scale.
    """
    lines = []
    for row, other in zip(rows, others, strict=True):
        labels = (row.label, row.prediction, other.prediction)
        lines.append([row.image, *(paint(label, palette) for label in labels), other.weight])
    legend = class_patches(classes, palette, labels_of([*rows, *others]))
    titles = ('image', 'ground truth', *names, 'boundary weights')
    return _figure(lines, titles, legend, weight_name, max(row.weight.max() for row in others))


def _figure(
    lines: Sequence[Sequence[np.ndarray]],
    titles: Sequence[str],
    legend: Sequence[Patch],
    name: str | None = None,
    largest: float = 1,
    extend: str = 'neither',
) -> Figure:
    """:func:`draw_panels` as wide as a page; with a name, beside one colour bar for all lines."""
    right = BAR if name else 0
    figure, axes = draw_panels(lines, titles, legend, PAGE_WIDTH, FONT_SIZE, largest, right)
    if not name:
        return figure
    side = (PAGE_WIDTH - BAR) / len(titles)
    panels = sum(side * max(p.shape[0] / p.shape[1] for p in line) for line in lines)  # inches
    scale = dict(extend=extend, extendfrac=0.02, fraction=0.02, pad=0.01, aspect=panels / (3 * GAP))
    bar = figure.colorbar(axes[0, -1].images[0], ax=axes, **scale)
    bar.set_label(name, fontsize=FONT_SIZE)
    bar.ax.tick_params(labelsize=FONT_SIZE - 1)
    # A long name beside low panels is made smaller: above them there is little room.
    label = bar.ax.yaxis.label
    length = label.get_window_extent(FigureCanvasAgg(figure).get_renderer()).height / figure.dpi
    label.set_fontsize(FONT_SIZE * min(1, (panels + TITLE) / length))
    return figure
