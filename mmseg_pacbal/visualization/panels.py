"""Figure panels: image, label, weights, loss and prediction side by side."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

VOID_COLOUR = (224, 224, 192)  # as the VOC devkit paints it
STRIP_WIDTH = 7.0  # inches: the legend below a picture is laid out as on a page of paper
# Of a legend of classes: entries as close as print allows.
LEGEND: dict = dict(fontsize=8, handlelength=1.5, columnspacing=1.0, borderaxespad=0.2)
NARROWEST = 480  # pixels of that legend; in fewer its names cannot be read


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
    aspect = max(row.image.shape[0] / row.image.shape[1] for row in rows)
    handles = class_patches(classes, palette, labels_of(rows))
    columns = fitting_columns(handles, 11, 13)
    more_lines = max(0, math.ceil(len(handles) / columns) - 2)  # of the legend
    height = 0.9 + 2.55 * aspect * len(rows) + 0.17 * more_lines
    figure = Figure(figsize=(13, height), layout='constrained')
    axes = figure.subplots(len(rows), 5, squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        line[0].imshow(row.image)
        line[0].set_ylabel(row.name, fontsize=8)
        line[1].imshow(paint(row.label, palette))
        line[4].imshow(paint(row.prediction, palette))
        for ax, field in ((line[2], row.weight), (line[3], row.loss)):
            _show_values(ax, field)
    strip_ticks(axes.flat)
    titles = ('image', 'label', f'weights {weight_name}', loss_name, 'prediction')
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=10)
    figure.legend(handles=handles, loc='outside lower center', ncols=columns, **LEGEND)
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
    height, width = sample.label.shape
    handles = class_patches(classes or (), palette, [sample.label], ignore_index)
    columns = fitting_columns(handles, 11, 13)
    lines = math.ceil(len(handles) / columns) if classes else 0  # of the legend
    size = 13, 0.7 + 3.1 * height / width + 0.17 * (lines + 1) * bool(lines)
    figure = Figure(figsize=size, layout='constrained')
    axes = figure.subplots(1, 4)
    weight = sample.weight
    axes[0].imshow(sample.image)
    axes[1].imshow(paint(sample.label, palette, ignore_index))
    for ax, field in zip(axes[2:], (sample.edges, weight), strict=True):
        _show_values(ax, field, interpolation='none')
    titles = (
        sample.name,
        f'label, {width} x {height}',
        f'edges $E$, {(sample.edges > 0).mean():.1%} of the pixels',
        f'weights $E_G$: mean {weight.mean():.2f}, {weight.min():.2f} to {weight.max():.2f}',
    )
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, fontsize=9)
    strip_ticks(axes)
    if lines:
        figure.legend(handles=handles, loc='outside lower center', ncols=columns, **LEGEND)
    return figure


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
        RGB, uint8 (H + the legend, max(W, ``NARROWEST``), 3).
    """
    height, width = picture.shape[:2]
    handles = class_patches(classes, palette, [label], ignore_index)
    columns = fitting_columns(handles, 7, STRIP_WIDTH)
    inches = 0.1 + 0.17 * math.ceil(len(handles) / columns)
    dots = max(width, NARROWEST) / STRIP_WIDTH
    figure = Figure(figsize=(STRIP_WIDTH, inches), dpi=dots)
    figure.legend(handles=handles, loc='center', ncols=columns, frameon=False, **LEGEND)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    legend = np.asarray(canvas.buffer_rgba())[..., :3]
    whole = np.full((height + len(legend), legend.shape[1], 3), 255, np.uint8)
    whole[:height, :width], whole[height:] = picture, legend
    return whole


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


def strip_ticks(axes: Iterable[Axes]) -> None:
    """Remove the ticks of panels that show pictures."""
    for ax in axes:
        ax.set(xticks=[], yticks=[])


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


def _show_values(ax: Axes, field: np.ndarray, interpolation: str | None = None) -> None:
    drawn = ax.imshow(field, cmap='inferno', vmin=0, interpolation=interpolation)
    bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.035, pad=0.01)
    bar.ax.tick_params(labelsize=7)
