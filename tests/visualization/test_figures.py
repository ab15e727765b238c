"""The panels hold the values they claim to show."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mmseg_pacbal.visualization import (
    PanelRow,
    WeightSample,
    comparison_figure,
    edge_figure,
    loss_figure,
    paint,
    panel_figure,
    qualitative_figure,
    weight_figure,
    with_legend,
)
from mmseg_pacbal.visualization.panels import (
    VOID_COLOUR,
    class_patches,
    even_columns,
    fitting_columns,
)
from mmseg_pacbal.visualization.paper import PAGE_WIDTH

CLASSES = ('sky', 'road', 'car', 'tree')
PALETTE = [(10, 20, 30), (40, 50, 60), (70, 80, 90), (100, 110, 120)]


def row(seed: int, height: int = 6, width: int = 8) -> PanelRow:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, (height, width))
    label[0, 0] = 255
    return PanelRow(
        name=f'image_{seed}',
        image=rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        label=label,
        weight=rng.uniform(0.5, 3, (height, width)),
        loss=rng.uniform(0, 5, (height, width)),
        prediction=rng.integers(0, 3, (height, width)),
    )


def sample(seed: int) -> WeightSample:
    made = row(seed)
    edges = np.random.default_rng(seed).integers(0, 4, made.label.shape)
    return WeightSample(made.name, made.image, made.label, edges, made.weight)


def truth(r: PanelRow | WeightSample) -> np.ndarray:
    return paint(r.label, PALETTE)


def predicted(r: PanelRow) -> np.ndarray:
    return paint(r.prediction, PALETTE)


def assert_shows(figure, *lines: tuple[np.ndarray, ...], titles: list[str]) -> list:
    """The pictures of all panels are those of the lines; returns the last one of each line."""
    images = [ax.get_images()[0] for ax in figure.axes if ax.get_images()]
    expected = [picture for line in lines for picture in line]
    assert len(images) == len(expected)
    assert all(map(np.array_equal, [image.get_array() for image in images], expected))
    assert [ax.get_title() for ax in figure.axes[: len(titles)]] == titles
    return images[len(lines[0]) - 1 :: len(lines[0])]


def legend_of(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def drawn(figure):
    """The figure, drawn: its legend lies on the canvas, and on no panel."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.legends[0].get_window_extent(canvas.get_renderer())
    assert all(figure.bbox.containsx(x) for x in (box.x0, box.x1))
    assert all(figure.bbox.containsy(y) for y in (box.y0, box.y1))
    assert not any(box.overlaps(ax.get_window_extent()) for ax in figure.axes)
    return figure


def of_many_classes(draw, count: int, name: str = 'class'):
    """A figure of one row whose label has as many classes."""
    many = row(0, 30, 40)
    many.label = np.arange(1200).reshape(30, 40) % count
    names, palette = [f'{name} {i}' for i in range(count)], [(i,) * 3 for i in range(count)]
    return draw([many], names, palette)


def test_paint():
    label = np.array([[0, 3], [255, 1]])
    colours = [[PALETTE[0], PALETTE[3]], [VOID_COLOUR, PALETTE[1]]]
    assert paint(label, PALETTE).tolist() == np.array(colours).tolist()
    with pytest.raises(ValueError, match=r'label holds 4, but accepted are 0\.\.3'):
        paint(np.array([[4]]), PALETTE)


def test_legend_has_the_classes_that_occur():
    columns = {1: 1, 7: 7, 8: 4, 12: 6, 21: 7, 22: 6}  # lines of about equal length
    assert {entries: even_columns(entries, 7) for entries in columns} == columns
    patches = class_patches(CLASSES, PALETTE, [np.array([[3, 0]]), np.array([[255]])])
    assert [p.get_label() for p in patches] == ['sky', 'tree', 'void']
    colours = [np.round(np.array(p.get_facecolor()[:3]) * 255).astype(int) for p in patches]
    assert [tuple(c) for c in colours] == [PALETTE[0], PALETTE[3], VOID_COLOUR]
    assert len(class_patches(CLASSES, PALETTE, [np.array([[1]])])) == 1


def test_loss_figure():
    rows = [row(0), row(1, height=10)]
    figure = loss_figure(rows, CLASSES, PALETTE, 'my loss')
    titles = ['image', 'ground truth', 'prediction', 'loss']
    lines = [(r.image, truth(r), predicted(r), r.loss) for r in rows]
    losses = assert_shows(figure, *lines, titles=titles)
    largest = np.percentile(np.concatenate([r.loss.ravel() for r in rows]), 99.5)
    assert [image.get_clim() for image in losses] == [(0, largest)] * 2
    assert figure.axes[-1].get_ylabel() == 'my loss'
    assert legend_of(figure) == ['sky', 'road', 'car', 'void']


def test_edge_figure():
    samples = [sample(0), sample(1)]
    figure = edge_figure(samples, CLASSES, PALETTE, 'my weights')
    lines = [(s.image, truth(s), s.edges > 0, s.weight) for s in samples]
    weights = assert_shows(figure, *lines, titles=['image'])
    assert weights[1].get_clim() == (0, max(s.weight.max() for s in samples))
    assert figure.axes[-1].get_ylabel() == 'my weights'
    assert legend_of(figure) == ['sky', 'road', 'void']


def test_comparison_figure():
    first, second = [row(0), row(1)], [row(2), row(3)]
    figure = comparison_figure(first, second, ['one', 'two'], CLASSES, PALETTE, 'my weights')
    pairs = zip(first, second, strict=True)
    lines = [(a.image, truth(a), predicted(a), predicted(b), b.weight) for a, b in pairs]
    titles = ['image', 'ground truth', 'one', 'two', 'boundary weights']
    weights = assert_shows(figure, *lines, titles=titles)
    largest = max(r.weight.max() for r in second)
    assert [image.get_clim() for image in weights] == [(0, largest)] * 2
    assert figure.axes[-1].get_ylabel() == 'my weights'


@pytest.mark.parametrize(('num', 'columns'), [(1, 3), (3, 3), (4, 6), (5, 6)])
def test_qualitative_figure(num, columns):
    rows = [row(i) for i in range(num)]
    figure = qualitative_figure(rows, CLASSES, PALETTE)
    titles = ['image', 'ground truth', 'prediction'] * (columns // 3)
    assert_shows(figure, *((r.image, truth(r), predicted(r)) for r in rows), titles=titles)
    tops = [round(ax.get_position().y1, 6) for ax in figure.axes]
    assert tops.count(max(tops)) == columns


@pytest.mark.parametrize('draw', [loss_figure, qualitative_figure])
def test_figures_are_a_page_wide_and_nothing_overlaps(draw):
    many = [f'class {i}' for i in range(21)]
    wide, high = row(0, 30, 40), row(1, 40, 30)
    wide.prediction = np.arange(1200).reshape(30, 40) % 21
    figure = drawn(draw([wide, high], many, [(i, i, i) for i in range(21)]))
    assert figure.get_figwidth() == PAGE_WIDTH
    assert len(legend_of(figure)) == 22
    boxes = [ax.get_window_extent() for ax in figure.axes]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    everything = figure.get_tightbbox(figure.canvas.get_renderer())  # in inches
    assert everything.x0 >= 0
    assert everything.y0 >= 0
    assert everything.x1 <= figure.get_figwidth()
    assert everything.y1 <= figure.get_figheight()


def test_panel_figure():
    r = row(3)
    figure = panel_figure([r], CLASSES, PALETTE, 'my loss', 'of mine')
    titles = ['image', 'label', 'weights of mine', 'my loss', 'prediction']
    assert_shows(figure, (r.image, truth(r), r.weight, r.loss, predicted(r)), titles=titles)
    assert legend_of(figure) == ['sky', 'road', 'car', 'void']


def test_panels_keep_their_size_beside_a_legend_of_many_classes():
    """A figure is as much higher as its legend: five lines in place of two."""
    heights = []
    for count in (22, 60):
        figure = of_many_classes(panel_figure, count)
        assert len(legend_of(figure)) == count
        heights.append(figure.get_figheight())
    assert heights[1] - heights[0] == pytest.approx(3 * 0.17)


LONG_NAME = r'$E_G / \overline{E_G}$ $\cdot$ cross entropy'


@pytest.mark.parametrize('name', ['$E_G$', LONG_NAME])
@pytest.mark.parametrize(('shape', 'top'), [((40, 10), 0.03), ((30, 20), 120), ((10, 40), 1.2)])
def test_colour_bar_with_its_label_and_ticks_lies_on_the_canvas(shape, top, name):
    made = row(0, *shape)
    made.loss = np.linspace(0, top, made.loss.size).reshape(shape)
    figure = loss_figure([made], CLASSES, PALETTE, name)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    bar = figure.axes[-1]
    box = bar.get_tightbbox(canvas.get_renderer())
    assert bar.get_ylabel() == name
    assert box.x0 >= figure.axes[3].get_window_extent().x1
    assert figure.bbox.containsx(box.x1)
    assert figure.bbox.containsy(box.y0) and figure.bbox.containsy(box.y1)


@pytest.mark.parametrize('draw', [loss_figure, panel_figure])
def test_legend_of_long_names_lies_on_the_canvas(draw):
    figure = drawn(of_many_classes(draw, 21, 'a class with a long name'))
    assert len(legend_of(figure)) == 21


def test_entries_that_are_wider_than_half_a_figure_stand_below_each_other():
    patches = class_patches(['word ' * 10] * 3, [(0, 0, 0)] * 3, [np.arange(3)])
    assert [fitting_columns(patches, 7, width) for width in (2, 8, 20)] == [1, 2, 3]


@pytest.mark.parametrize('length', range(4, 16))
def test_legend_of_weights_is_as_wide_as_it_was_measured(length):
    made = sample(0)
    made.label = np.arange(made.label.size).reshape(made.label.shape) % 12
    names = ['m' * length + str(i) for i in range(12)]
    assert drawn(weight_figure(made, [(i, i, i) for i in range(12)], 255, names))


def test_weights_tell_mean_and_range():
    weight = np.linspace(0.5, 2.5, 12).reshape(3, 4)
    label = np.array([[0, 0, 1, 255]] * 3)
    edges = np.array([[0, 2, 1, 0]] * 3)
    made = WeightSample('name', np.zeros((3, 4, 3), np.uint8), label, edges, weight)
    figure = weight_figure(made, [(0, 0, 0), (255, 0, 0)])
    titles = [ax.get_title() for ax in figure.axes[:4]]
    assert titles[0] == 'name'
    assert '4 x 3' in titles[1]
    assert '50.0% of the pixels' in titles[2]
    assert 'mean 1.50, 0.50 to 2.50' in titles[3]


def test_weights_have_a_legend_of_the_classes_in_the_crop():
    made = sample(0)
    figure = drawn(weight_figure(made, PALETTE, classes=CLASSES))
    assert legend_of(figure) == ['sky', 'road', 'void']
    assert not weight_figure(made, PALETTE).legends


@pytest.mark.parametrize('width', [80, 321, 500])
def test_legend_below_a_picture_leaves_the_picture_as_it_is(width):
    """Its colours are those of the classes that occur, and no other's."""
    picture = np.random.default_rng(0).integers(0, 256, (60, width, 3), dtype=np.uint8)
    palette = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0)]
    whole = with_legend(picture, np.array([[0, 2]]), CLASSES, palette)
    assert whole.shape[1] == width  # a portrait stays one
    assert np.array_equal(whole[:60, :width], picture)
    below = whole[60:].reshape(-1, 3)
    share = [(below == colour).all(axis=1).mean() for colour in palette]
    assert min(share[0], share[2]) > 0.001
    assert share[1] == share[3] == 0
    assert (below < 60).all(axis=1).any()  # the names


def test_picture_narrower_than_a_name_gets_white_beside_it():
    picture = np.zeros((60, 30, 3), np.uint8)
    whole = with_legend(picture, np.array([[0]]), ['a rather long name'], PALETTE)
    assert 60 < whole.shape[1] < 200
    assert np.array_equal(whole[:60, :30], picture)
    assert (whole[:60, 30:] == 255).all()
    assert (whole[60:, -1] == 255).all()  # the name ends before the picture does


def test_legend_of_many_lines_lies_below_the_picture():
    names, palette = [f'class {i}' for i in range(21)], [(9 * i, 0, 0) for i in range(21)]
    whole = with_legend(np.zeros((40, 120, 3), np.uint8), np.arange(21), names, palette)
    assert whole.shape[1] == 120
    assert (whole[[40, -1]] == 255).all()  # the first and the last line are whole
