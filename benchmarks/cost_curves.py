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
from torch import Tensor

from benchmarks import boundary_metric, pyramid_atrous_conv
from benchmarks.cost_curves_tables import OURS, PEER, rates_table, table
from benchmarks.harness import Run, blocks, main, measure_times, peak_memory, relative_error
from mmseg_pacbal.ops import boundary_weight_map, pyramid_atrous_conv2d
from mmseg_pacbal.ops.reference import boundary_weight_map_reference

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


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, rates_table, threads=1, device='cpu')
