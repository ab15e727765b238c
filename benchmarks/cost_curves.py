"""How each cost grows: PAC with the rates, the weight map and the metric with their inputs.

python -m benchmarks.cost_curves    also draws docs/images/cost_curves.png

Each curve has its peer: as many convolutions as there are rates, and the plain definitions of the
map and of the metric, at those points of the curve where they end within seconds.
"""

import argparse
import tracemalloc
from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks import boundary_metric, pyramid_atrous_conv
from benchmarks.harness import Run, blocks, main, measure_times, peak_memory, relative_error
from benchmarks.records import ROOT, load, source
from mmseg_pacbal.markdown import to_markdown
from mmseg_pacbal.ops import boundary_weight_map, pyramid_atrous_conv2d
from tests.reference import boundary_weight_map_reference

OURS, PEER = 'ours', 'peer'
PICTURE = ROOT / 'docs' / 'images' / 'cost_curves.png'
PEERS = dict(
    PAC='as many convolutions', map='plain definition, float64', metric='independent, SciPy'
)
CHANNELS, SIZE = (2048, 256), 33  # of the pyramid, and the side of its features
RATES = range(1, 13)
PEER_RATES = (1, 4, 12)
# What one curve varies; everything else is as in the base.
BASE = dict(side=257, classes=5, kernel_size=35, batch=1)
MAP = dict(
    side=(65, 129, 257, 513, 1025, 2049),
    classes=(2, 5, 21, 150, 1000),
    kernel_size=(3, 11, 35, 71),
    batch=(1, 2, 4, 8, 16),
)
METRIC = dict(side=(65, 129, 257, 513, 1025), classes=(2, 5, 21, 150, 1000))
# The plain definitions take seconds beyond these.
MAP_PEER = dict(side=(65, 129, 257), classes=(2, 5, 21), kernel_size=(3, 35), batch=(1, 2))
METRIC_PEER = dict(side=(65, 129, 257), classes=(5, 150))
TITLES = dict(
    rates='rates',
    side='pixels a side',
    classes='classes',
    kernel_size='kernel size',
    batch='images of a batch',
)


class Point(NamedTuple):
    """One candidate at one place of a curve."""

    subject: str  # PAC, map or metric
    axis: str
    at: int
    form: str
    run: Run


def measure(args: argparse.Namespace) -> list[dict]:
    cv2.setNumThreads(args.threads)
    return [row for curve in curves() for row in measured(curve, args)]


def measured(curve: list[Point], args: argparse.Namespace) -> list[dict]:
    """The rows of a curve, whose points take turns."""
    times = measure_times({f'{p.form} {p.at}': p.run for p in curve}, args.repeats).values()
    rows = []
    for point, seconds in zip(curve, times, strict=True):
        subject, axis, at, form, run = point
        metric = subject.startswith('metric')
        held = peak_arrays(run) if metric else peak_memory(run)
        rows.append(dict(subject=subject, axis=axis, at=at, form=form, **seconds, memory=held))
    return rows


def curves() -> Iterator[list[Point]]:
    """Every curve with its peer's, once both were seen to agree."""
    for mode, wrap in pyramid_atrous_conv.MODES.items():
        yield pyramid(mode, wrap)
    for axis, values in MAP.items():
        yield [*weight_maps(axis, values)]
    for axis, values in METRIC.items():
        yield [*metrics(axis, values)]


def pyramid(mode: str, wrap: Callable) -> list[Point]:
    x, weight = pyramid_atrous_conv.inputs(CHANNELS, SIZE, 1, 'cpu', torch.float32)
    plain = weight.detach().contiguous().requires_grad_()

    def layer(rates: tuple[int, ...], backend: str) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda x, w: pyramid_atrous_conv2d(x, w, rates, backend=backend)

    points = []
    for count in RATES:
        rates = tuple(range(1, 2 * count, 2))
        # One rate is a plain convolution, whose filter is laid out as convolutions want it.
        layers = {OURS: (layer(rates, 'auto'), plain if count == 1 else weight)}
        if count in PEER_RATES:
            layers[PEER] = (layer(rates, 'reference'), plain)
        runs = {}
        for form, one in layers.items():
            torch.manual_seed(0)  # of the gradient, which must be the same
            runs[form] = wrap(one, x)
        if PEER in runs:
            check(f'{count} rates', *(run() for run in runs.values()))
        points += [Point(f'PAC, {mode}', 'rates', count, *item) for item in runs.items()]
    return points


def check(what: str, ours: Tensor | tuple, peer: Tensor | tuple) -> None:
    """Raise ValueError where two results, or tuples of them, differ by more than rounding."""
    pairs = zip(*(r if isinstance(r, tuple) else (r,) for r in (ours, peer)), strict=True)
    worst = max(relative_error(a, b) for a, b in pairs)
    if not worst <= 1e-5:
        raise ValueError(f'{what}: ours and its peer differ by {worst:.1e}')


def weight_maps(axis: str, values: tuple[int, ...]) -> Iterator[Point]:
    for value in values:
        where = BASE | {axis: value}
        side = where['side']
        # Small squares, so that as many classes as possible are there.
        label = blocks(where['classes'], (where['batch'], side, side), side=8)
        size = where['kernel_size']
        runs = {OURS: lambda n=size, label=label: boundary_weight_map(label, kernel_size=n)}
        if value in MAP_PEER[axis]:
            runs[PEER] = lambda n=size, label=label: boundary_weight_map_reference(
                label, kernel_size=n
            )
            check(f'map, {axis} {value}', runs[OURS](), runs[PEER]())
        yield from (Point('map', axis, value, form, run) for form, run in runs.items())


def metrics(axis: str, values: tuple[int, ...]) -> Iterator[Point]:
    for value in values:
        where = BASE | {axis: value}
        label = blocks(where['classes'], (1, where['side'], where['side']))
        runs = {OURS: boundary_metric.run(label, where['classes'])}
        if value in METRIC_PEER[axis]:
            boundary_metric.check_equal(label, where['classes'])
            runs[PEER] = lambda label=label, n=where['classes']: boundary_metric.reference(label, n)
        yield from (Point('metric', axis, value, form, run) for form, run in runs.items())


def peak_arrays(run: Run) -> int:
    """Most bytes of NumPy arrays and Python objects that ``run`` holds at once."""
    run()
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


# Table and picture


def lines(record: dict) -> dict[tuple[str, str], dict[str, list[dict]]]:
    """The rows of every curve, by subject and axis, then by form."""
    found: dict[tuple[str, str], dict[str, list[dict]]] = {}
    for row in record['results']:
        curve = found.setdefault((row['subject'], row['axis']), {OURS: [], PEER: []})
        curve[row['form']].append(row)
    return found


def table(record: dict) -> str:
    rows = []
    for (subject, axis), curve in lines(record).items():
        ours, peer = curve[OURS], curve[PEER]
        last = {row['at']: row for row in ours}[peer[-1]['at']]
        rows.append(
            [
                subject,
                TITLES[axis],
                f'{ours[0]["at"]:.0f} to {ours[-1]["at"]:.0f}',
                ' to '.join(time_of(row) for row in (ours[0], ours[-1])),
                ' to '.join(memory_of(row) for row in (ours[0], ours[-1])),
                f'{peer[-1]["at"]:.0f}',
                ' and '.join(time_of(row) for row in (last, peer[-1])),
                ' and '.join(memory_of(row) for row in (last, peer[-1])),
            ]
        )
    head = ['subject', 'against', 'from, to', 'time, ours', 'memory, ours', 'at']
    return to_markdown([*head, 'ours and peer', 'memory'], rows, left=2) + source(record)


def rates_table(record: dict) -> str:
    """Each number of rates against two: what a further rate costs."""
    modes = {subject: curve for (subject, axis), curve in lines(record).items() if axis == 'rates'}
    of = {
        subject: {int(row['at']): row['p50'] for row in curve[OURS]}
        for subject, curve in modes.items()
    }
    counts = sorted(next(iter(of.values())))
    rows = [
        [subject, *(f'{of[subject][n] / of[subject][2]:.2f}' for n in counts)] for subject in of
    ]
    return to_markdown(['rates', *map(str, counts)], rows, left=1)


def time_of(row: dict) -> str:
    seconds = row['p50']
    return f'{seconds:.1f} s' if seconds >= 10 else f'{1e3 * seconds:.3g} ms'


def memory_of(row: dict) -> str:
    return f'{row["memory"] / 1e6:.3g} MB'


def picture(record: dict) -> Figure:
    """Time above memory, a column for each curve; ours solid, the peer dashed."""
    curves = lines(record)
    half = -(-len(curves) // 2)
    figure = Figure(figsize=(3 * half, 11), layout='constrained')
    axes = figure.subplots(4, half, squeeze=False)
    for index, ((subject, axis), curve) in enumerate(curves.items()):
        column, top = index % half, 2 * (index // half)
        draw(axes[top, column], curve, 'p50', 1e3, f'{subject}: ms', subject)
        draw(axes[top + 1, column], curve, 'memory', 1e-6, f'{subject}: MB', subject)
        axes[top + 1, column].set_xlabel(TITLES[axis])
        for ax in axes[top : top + 2, column]:
            scale_axes(ax, [row['at'] for row in curve[OURS]], axis == 'rates')
    for ax in axes.flat:
        ax.set_visible(ax.has_data())
    return figure


def scale_axes(ax: Axes, at: list[float], linear: bool) -> None:
    if linear:
        ax.set_ylim(bottom=0)
    else:
        ax.loglog()
    ax.set_xticks(at, [f'{value:.0f}' for value in at])
    ax.tick_params(labelsize=7)
    ax.minorticks_off()


def draw(ax: Axes, curve: dict, key: str, scale: float, title: str, subject: str) -> None:
    peer = PEERS[subject.partition(',')[0]]
    for form, style, name in ((OURS, 'o-', OURS), (PEER, 's--', peer)):
        at, value = ([row[k] for row in curve[form]] for k in ('at', key))
        ax.plot(at, [scale * v for v in value], style, markersize=4, label=name)
    ax.set_title(title, fontsize=9)
    ax.legend(fontsize=7)
    ax.grid(alpha=0.3)


def draw_picture() -> None:
    """From the committed record."""
    picture(load('cost_curves', 'amd-epyc')).savefig(PICTURE, dpi=80)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, rates_table, threads=1, device='cpu')
