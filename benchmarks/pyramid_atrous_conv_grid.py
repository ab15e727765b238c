"""What backend='auto' rests on: the factorized form and five convolutions at many sizes and rates.

python -m benchmarks.pyramid_atrous_conv_grid
"""

import argparse
import itertools

import torch

from benchmarks.harness import main, measure_times
from benchmarks.pyramid_atrous_conv import FIVE, MODES, RATES, TITLES, candidates, inputs
from benchmarks.records import source, span
from mmseg_pacbal.markdown import to_markdown
from mmseg_pacbal.ops.factorized import choose_by_rule

GRID = dict(
    dtype=('float32', 'bfloat16'),
    channels=((16, 64), (64, 64), (256, 256), (512, 256)),
    size=(9, 17, 33, 65),
    rates=((3, 6), (6, 12, 18), RATES),
    batch=(1, 4),
)


def measure(args: argparse.Namespace) -> list[dict]:
    """A row for each shape and pass, in seconds."""
    torch.backends.cudnn.benchmark = True
    rows = []
    for dtype, channels, size, rates, batch in itertools.product(*GRID.values()):
        x, weight = inputs(channels, size, batch, args.device, getattr(torch, dtype))
        layers = candidates(x, weight, rates, 'triton' if x.is_cuda else 'factorized')
        # The choice is between forms for one and the same filter.
        layers = {'factorized': layers['factorized'], 'convolutions': (layers[FIVE][0], weight)}
        where = dict(dtype=dtype, c_in=channels[0], c_out=channels[1], size=size, batch=batch)
        where['rates'] = ' '.join(map(str, rates))
        for mode, wrap in MODES.items():
            runs = {name: wrap(layer, x) for name, layer in layers.items()}
            times = measure_times(runs, args.repeats, args.device)
            figures = {f'{name} {q}': t[q] for name, t in times.items() for q in t}
            rows.append(dict(**where, mode=mode, **figures))
    return rows


def table(record: dict) -> str:
    """By channels, over all sizes, rates and batches."""
    groups: dict[tuple, list[dict]] = {}
    for row in record['results']:
        channels = f'{row["c_in"]:.0f} -> {row["c_out"]:.0f}'
        groups.setdefault((row['dtype'], channels, TITLES[row['mode']]), []).append(row)
    rows = [
        [*key, *(span(list(map(time, group)), 2) for time in (time_of_factorized, time_of_auto))]
        for key, group in groups.items()
    ]
    head = ['dtype', 'channels', 'pass', 'factorized / convolutions', '`auto` / convolutions']
    return to_markdown(head, rows, left=3) + source(record)


def time_of_factorized(row: dict) -> float:
    """Over that of the convolutions, for one row of the grid."""
    return row['factorized p50'] / row['convolutions p50']


def time_of_auto(row: dict) -> float:
    """The same for what 'auto' takes."""
    chosen = choose_by_rule(int(row['c_in']), row['rates'].split())
    return 1.0 if chosen == 'reference' else time_of_factorized(row)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table)
