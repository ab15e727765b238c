"""Figures 4, 5 and 7 of the paper, and two models side by side, at the width of a page."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from .panels import (
    LEGEND,
    PanelRow,
    WeightSample,
    class_patches,
    fitting_columns,
    labels_of,
    paint,
    strip_ticks,
)

# In inches. Most papers have pages of this width, at which the fonts are legible in print.
PAGE_WIDTH = 7.0
GAP = 0.04  # between panels
TITLE = 0.2  # above the panels
BAR = 0.6  # to the right of them, with its label, unless its ticks need more
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
    right: float = BAR,
) -> Figure:
    """Lines of pictures, as wide as a page, with titles above and the class legend below.

    Pictures are RGB, uint8 (H, W, 3); masks, bool (H, W); or values from 0 to ``largest``, floating
    (H, W), whose ``name`` stands beside a colour bar on the right, in ``right`` inches or more.
    """
    # Two images in a line may have different shapes.
    aspects = [max(picture.shape[0] / picture.shape[1] for picture in line) for line in lines]
    figure, axes = _grid(aspects, len(titles), legend, right=right if name else 0)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=FONT_SIZE, pad=3)
    for line, pictures in zip(axes, lines, strict=True):
        for ax, picture in zip(line, pictures, strict=False):
            scale = dict(cmap='gray', vmax=1) if picture.dtype == bool else dict(vmax=largest)
            drawn = ax.imshow(picture, **(dict(cmap='inferno', vmin=0) | scale))
        for ax in line[len(pictures) :]:
            ax.set_axis_off()
    if name:
        _add_bar(figure, axes, drawn, name, extend)
        end = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer()).x1  # in inches
        if end > PAGE_WIDTH:  # because of long ticks: the panels give way
            more = end - PAGE_WIDTH + GAP
            return _figure(lines, titles, legend, name, largest, extend, right + more)
    return figure


def _add_bar(figure: Figure, axes: np.ndarray, drawn: AxesImage, name: str, extend: str) -> None:
    """A colour bar beside all lines of panels; a long name is made smaller until it fits."""
    first, last = axes[0, -1].get_position(), axes[-1, -1].get_position()
    gap = GAP / PAGE_WIDTH
    place = (first.x1 + 2 * gap, last.y0, 3 * gap, first.y1 - last.y0)
    bar = figure.colorbar(drawn, cax=figure.add_axes(place), extend=extend, extendfrac=0.02)
    bar.set_label(name, fontsize=FONT_SIZE)
    bar.ax.tick_params(labelsize=FONT_SIZE - 1)
    label = bar.ax.yaxis.label
    length = label.get_window_extent(FigureCanvasAgg(figure).get_renderer()).height
    # It is centred on the panels, above which there is less room than below.
    room = (first.y1 - last.y0 + 2 * (1 - first.y1)) * figure.bbox.height - GAP * figure.dpi
    label.set_fontsize(FONT_SIZE * min(1, room / length))


def _grid(
    aspects: Sequence[float], columns: int, legend: Sequence[Patch], right: float
) -> tuple[Figure, np.ndarray]:
    """Panels of equal width, each line as high as its images are (aspect: height / width).

    They are placed by their sizes: a layout engine leaves gaps between panels of a fixed aspect.
    ``right`` inches beside them stay free.
    """
    legend_columns = fitting_columns(legend, 7, PAGE_WIDTH)
    width = (PAGE_WIDTH - right) / columns - GAP
    heights = width * np.array(aspects)
    below = (math.ceil(len(legend) / legend_columns) + 1) * LEGEND_LINE
    height = TITLE + sum(heights + GAP) + below
    figure = Figure(figsize=(PAGE_WIDTH, height))
    edges = dict(
        left=GAP / 2 / PAGE_WIDTH,
        right=1 - (right + GAP / 2) / PAGE_WIDTH,
        bottom=(below + GAP) / height,
        top=1 - TITLE / height,
    )
    gaps = dict(wspace=GAP / width, hspace=GAP / heights.mean(), height_ratios=heights)
    axes = figure.subplots(len(aspects), columns, squeeze=False, gridspec_kw=edges | gaps)
    strip_ticks(axes.flat)
    figure.legend(handles=legend, loc='lower center', ncols=legend_columns, **LEGEND)
    return figure, axes
