"""The loss and its parts on cores that three other processes keep busy, and on quiet ones.

python -m benchmarks.busy_cores    one hundred calls in each of five starts

How long a call waits for the scheduler differs from process to process, so each start is one.
"""

import argparse
import itertools
import multiprocessing
import statistics

import torch

from benchmarks import losses, pyramid_atrous_conv
from benchmarks.harness import InTurn, Run, gradient, labels, main, quantiles, seconds_of
from benchmarks.records import source
from mmseg_pacbal.markdown import to_markdown
from mmseg_pacbal.ops import boundary_weight_map

STARTS, CALLS = 5, 100
SHAPE = (1, 375, 500)  # of a label
CHANNELS, SIZE = (256, 256), 33  # of the pyramid
PROCESSES = multiprocessing.get_context('spawn')


def measure(args: argparse.Namespace) -> list[dict]:
    rows = []
    for number, start in itertools.product((0, 3), range(STARTS)):
        others = [PROCESSES.Process(target=compute, daemon=True) for _ in range(number)]
        for other in others:
            other.start()
        with PROCESSES.Pool(1) as pool:
            seconds = pool.apply(one_start, (args.threads, CALLS, SHAPE, CHANNELS, SIZE))
        for other in others:
            other.kill()
            other.join()
        for what, values in seconds.items():
            rows.append(dict(what=what, others=number, start=start, **quantiles(values, (50, 95))))
    return rows


def compute() -> None:
    for _ in itertools.count():
        pass


def one_start(threads: int, calls: int, shape: tuple, channels: tuple, size: int) -> dict:
    """Seconds of every call, on the wall."""
    torch.set_num_threads(threads)
    runs = candidates(shape, channels, size).items()
    return {what: [seconds_of(run) for _ in range(calls)] for what, run in runs}


def candidates(shape: tuple, channels: tuple, size: int) -> dict[str, Run]:
    images = labels(21, shape)
    logits = torch.randn(1, 21, 65, 65, requires_grad=True)
    _, loss = losses.losses(21, 'cpu')[losses.BAL]
    features, weight = pyramid_atrous_conv.inputs(channels, size, 1, 'cpu', torch.float32)
    layer = (pyramid_atrous_conv.pyramid(pyramid_atrous_conv.RATES, 'auto'), weight)
    return {
        'weight map': InTurn(boundary_weight_map, images),
        'BAL and its gradient': InTurn(gradient(loss), [(logits, image) for image in images]),
        'PAC, forward and backward': pyramid_atrous_conv.training(layer, features),
    }


def table(record: dict) -> str:
    """The median over the starts and the worst start of both quantiles."""
    groups: dict[tuple, list[dict]] = {}
    for row in record['results']:
        groups.setdefault((row['what'], f'{row["others"]:.0f}'), []).append(row)
    rows = []
    for where, starts in groups.items():
        seconds = ([start[q] for start in starts] for q in ('p50', 'p95'))
        figures = ((statistics.median(values), max(values)) for values in seconds)
        rows.append([*where, *(f'{1e3 * a:.1f}, {1e3 * b:.1f} ms' for a, b in figures)])
    head = ['what', 'busy processes', 'p50: median start, worst', 'p95: median start, worst']
    return to_markdown(head, rows, left=1) + source(record)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, device='cpu')
