"""Pictures side by side: image, label, weights, loss and prediction, above a legend of classes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

VOID_COLOUR = (224, 224, 192)  # as the VOC devkit paints it
# Inches. Most papers have pages of this width, at which the fonts are legible in print.
PAGE_WIDTH = 7.0
SCREEN_WIDTH = 13.0
GAP = 0.04  # between panels
TITLE = 0.2  # above them
LEGEND_LINE = 0.17  # below them
# Of a legend of classes: entries as close as print allows.
LEGEND: dict = dict(fontsize=8, handlelength=1.5, columnspacing=1.0, borderaxespad=0.2)
NARROWEST = 480  # pixels of PAGE_WIDTH; in fewer its names cannot be read


@dataclass
class PanelRow:
    """What is drawn of one image of size H x W."""

    name: str  # title of the row
    image: np.ndarray  # RGB, uint8 (H, W, 3)
    label: np.ndarray  # classes or void, (H, W)
    weight: np.ndarray  # E_G, (H, W)
    loss: np.ndarray  # of every pixel, (H, W), 0 at void
    prediction: np.ndarray  # classes, (H, W)


@dataclass
class WeightSample:
    """One crop of size H x W, as the model gets it."""

    name: str  # title of the picture
    image: np.ndarray  # RGB, uint8 (H, W, 3)
    label: np.ndarray  # classes or void, (H, W)
    edges: np.ndarray  # E, the sum of all classes' edges, (H, W), 0..3
    weight: np.ndarray  # E_G, (H, W)


def paint(label: np.ndarray, palette: Sequence, ignore_index: int = 255) -> np.ndarray:
    """Colour a label map: (H, W) integers -> (H, W, 3) uint8, void in the VOC devkit's colour.

    Raises:
        ValueError: A label is neither in the palette nor void.
    """
    wrong = (label != ignore_index) & ((label < 0) | (label >= len(palette)))
    if wrong.any():
        raise ValueError(
            f'label holds {label[wrong][0]}, but accepted are 0..{len(palette) - 1} and '
            f'ignore_index={ignore_index}; give a palette with a colour for every class'
        )
    colours = np.array([*palette, VOID_COLOUR], dtype=np.uint8)
    return colours[np.where(label == ignore_index, len(palette), label)]


def panel_figure(
    rows: Sequence[PanelRow],
    classes: Sequence[str],
    palette: Sequence,
    loss_name: str = 'cross entropy',
    weight_name: str = '$E_G$',
) -> Figure:
    """Draw a row of five panels for each image, with colour bars and a class legend."""
    lines = [
        [r.image, paint(r.label, palette), r.weight, r.loss, paint(r.prediction, palette)]
        for r in rows
    ]
    titles = ('image', 'label', f'weights {weight_name}', loss_name, 'prediction')
    legend = class_patches(classes, palette, labels_of(rows))
    figure, axes = draw_panels(lines, titles, legend, SCREEN_WIDTH, 10)
    for ax, row in zip(axes[:, 0], rows, strict=True):
        ax.set_ylabel(row.name, fontsize=8)
    _add_bars(axes[:, 2:4])
    return figure


def weight_figure(
    sample: WeightSample,
    palette: Sequence,
    ignore_index: int = 255,
    classes: Sequence[str] | None = None,
) -> Figure:
    """Draw the four panels of a sample, with the mean and the range of E_G in a title.

    With ``classes``, their names, a legend of those that occur stands below.
    """
    (height, width), weight = sample.label.shape, sample.weight
    titles = (
        sample.name,
        f'label, {width} x {height}',
        f'edges $E$, {(sample.edges > 0).mean():.1%} of the pixels',
        f'weights $E_G$: mean {weight.mean():.2f}, {weight.min():.2f} to {weight.max():.2f}',
    )
    line = [sample.image, paint(sample.label, palette, ignore_index), sample.edges, weight]
    legend = class_patches(classes, palette, [sample.label], ignore_index) if classes else []
    figure, axes = draw_panels([line], titles, legend, SCREEN_WIDTH, 9)
    _add_bars(axes[:, 2:])
    return figure


def draw_panels(
    lines: Sequence[Sequence[np.ndarray]],
    titles: Sequence[str],
    legend: Sequence[Patch],
    width: float,
    font_size: float,
    largest: float | None = None,
    right: float = 0,
) -> tuple[Figure, np.ndarray]:
    """Lines of pictures of equal width below their titles, and the legend below all of them.

    Args:
        lines: Pictures: RGB, uint8 (H, W, 3); masks, bool (H, W); or values, (H, W), of which 0 is
            dark and ``largest``, or their own largest, is bright.
        titles: Of the columns.
        legend: May be empty.
        width: Of the figure, in inches.
        font_size: Of the titles.
        largest: See ``lines``.
        right: Inches that stay free beside the panels.

    Returns:
        The figure, and the axes, (len(lines), len(titles)).
    """
    # Two images in a line may have different shapes.
    aspects = [max(picture.shape[0] / picture.shape[1] for picture in line) for line in lines]
    columns = fitting_columns(legend, int(width), width)
    below = LEGEND_LINE * math.ceil(len(legend) / columns) + 0.08
    side = (width - right) / len(titles) - GAP
    height = TITLE + sum(side * aspect + GAP for aspect in aspects) + below
    layout = ConstrainedLayoutEngine(w_pad=GAP / 2, h_pad=GAP / 2, wspace=0, hspace=0)
    figure = Figure(figsize=(width, height), layout=layout)
    axes = figure.subplots(len(lines), len(titles), squeeze=False, height_ratios=aspects)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=font_size, pad=3)
    for line, pictures in zip(axes, lines, strict=True):
        for ax, picture in zip(line, pictures, strict=False):
            scale = dict(cmap='gray', vmax=1) if picture.dtype == bool else dict(vmax=largest)
            ax.imshow(picture, **(dict(cmap='inferno', vmin=0) | scale))
            ax.set(xticks=[], yticks=[])
        for ax in line[len(pictures) :]:
            ax.set_axis_off()
    if legend:
        figure.legend(handles=legend, loc='outside lower center', ncols=columns, **LEGEND)
    return figure, axes


def with_legend(
    picture: np.ndarray,
    label: np.ndarray,
    classes: Sequence[str],
    palette: Sequence,
    ignore_index: int = 255,
) -> np.ndarray:
    """A picture with the classes of its label map below it, on white.

    Args:
        picture: RGB, uint8 (H, W, 3).
        label: Classes or void, of any shape.
        classes: Their names.
        palette: Their colours.
        ignore_index: The value that is void.

    Returns:
        RGB, uint8 (H + the legend, W, 3); wider only if a name is wider than the picture.
    """
    height, width = picture.shape[:2]
    handles = class_patches(classes, palette, [label], ignore_index)
    dots = max(width, NARROWEST) / PAGE_WIDTH  # per inch
    columns = fitting_columns(handles, 7, width / dots)
    figure = Figure(figsize=(width / dots, 1), dpi=dots)
    box = figure.legend(handles=handles, loc='center', ncols=columns, frameon=False, **LEGEND)
    needed = box.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    # The canvas has whole pixels.
    figure.set_size_inches((max(width, needed.width) + 0.5) / dots, needed.height / dots)
    legend = rendered(figure)
    whole = np.full((height + len(legend), legend.shape[1], 3), 255, np.uint8)
    whole[:height, :width], whole[height:] = picture, legend
    return whole


def rendered(figure: Figure) -> np.ndarray:
    """A figure as a picture, RGB, uint8 (H, W, 3)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def labels_of(rows: Iterable[PanelRow]) -> list[np.ndarray]:
    """All label maps and predictions of some rows."""
    return [label for row in rows for label in (row.label, row.prediction)]


def even_columns(entries: int, most: int) -> int:
    """Columns, at most ``most``, for a legend with lines of about equal length."""
    return math.ceil(entries / math.ceil(entries / most))


def fitting_columns(handles: Sequence[Patch], most: int, width: float) -> int:
    """Even columns of entries drawn with ``LEGEND``: no line is wider than a figure, in inches."""
    canvas = FigureCanvasAgg(Figure(figsize=(width, 1)))
    for limit in range(most, 1, -1):
        columns = even_columns(max(1, len(handles)), limit)
        legend = canvas.figure.legend(handles=handles, ncols=columns, **LEGEND)
        box = legend.get_window_extent(canvas.get_renderer())
        if box.width <= canvas.figure.bbox.width:
            return columns
    return 1


def class_patches(
    classes: Sequence[str],
    palette: Sequence,
    labels: Iterable[np.ndarray],
    ignore_index: int = 255,
) -> list[Patch]:
    """Legend entries for the classes, and void, that occur in some label maps."""
    colours = np.array([*palette, VOID_COLOUR]) / 255
    present = {int(value) for label in labels for value in np.unique(label)}
    shown = [(name, i) for i, name in enumerate(classes) if i in present]
    shown += [('void', len(classes))] if ignore_index in present else []
    return [Patch(facecolor=colours[i], edgecolor='grey', label=name) for name, i in shown]


def _add_bars(axes: np.ndarray) -> None:
    """A colour bar beside each of some panels of values."""
    for ax in axes.flat:
        bar = ax.figure.colorbar(ax.images[0], ax=ax, fraction=0.035, pad=0.01)
        bar.ax.tick_params(labelsize=7)
