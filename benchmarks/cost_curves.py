"""How the cost of PAC grows with the number of rates, and that of as many convolutions.

python -m benchmarks.cost_curves    on one thread; pages draws docs/images/cost_of_rates.png
"""

import argparse
from collections.abc import Callable

import torch
from matplotlib.figure import Figure

from benchmarks.harness import Run, agree, main, measure_times, peak_memory
from benchmarks.pyramid_atrous_conv import MODES, inputs, pyramid
from benchmarks.records import source
from mmseg_pacbal.markdown import to_markdown

OURS, PEER = 'ours', 'peer'
CHANNELS, SIZE = (2048, 256), 33  # of the pyramid, and the side of its features
RATES = range(1, 13)
PEER_RATES = (1, 4, 12)


def measure(args: argparse.Namespace) -> list[dict]:
    return [row for mode, wrap in MODES.items() for row in curve(f'PAC, {mode}', wrap, args)]


def curve(subject: str, wrap: Callable, args: argparse.Namespace) -> list[dict]:
    """The rows of one pass, all of whose points take turns."""
    points = {
        (form, count): run for count in RATES for form, run in candidates(count, wrap).items()
    }
    times = measure_times(points, args.repeats)
    return [
        dict(subject=subject, axis='rates', at=point[1], form=point[0])
        | dict(times[point], memory=peak_memory(run))
        for point, run in points.items()
    ]


def candidates(count: int, wrap: Callable) -> dict[str, Run]:
    """Ours and, at a few numbers of rates, as many convolutions, which must give the same."""
    features, weight = inputs(CHANNELS, SIZE, 1, 'cpu', torch.float32)
    rates = tuple(range(1, 2 * count, 2))
    runs = {OURS: wrap((pyramid(rates, 'auto'), weight), features)}
    if count in PEER_RATES:
        runs[PEER] = wrap((pyramid(rates, 'reference'), weight), features)
        results = (run() for run in runs.values())
        pairs = zip(*(r if isinstance(r, tuple) else (r,) for r in results), strict=True)
        for ours, peer in pairs:
            agree(f'{count} rates: ours and its peer', ours, peer)
    return runs


def lines(record: dict) -> dict[str, dict[str, list[dict]]]:
    """The rows by subject and form; older records hold other axes."""
    curves: dict[str, dict[str, list[dict]]] = {}
    for row in record['results']:
        if row['axis'] == 'rates':
            curves.setdefault(row['subject'], {OURS: [], PEER: []})[row['form']].append(row)
    return curves


def table(record: dict) -> str:
    """The time with each number of rates against two: what a further rate costs."""
    rows = []
    for subject, forms in lines(record).items():
        seconds = {int(row['at']): row['p50'] for row in forms[OURS]}
        rows.append([subject, *(f'{s / seconds[2]:.2f}' for s in seconds.values())])
    return to_markdown(['rates', *map(str, seconds)], rows, left=1) + source(record)


def picture(record: dict) -> Figure:
    """Time and memory, forward and backward, of PAC and of as many convolutions."""
    forms = lines(record)['PAC, forward+backward']
    figure = Figure(figsize=(8, 2.8), layout='constrained')
    panels = (('p50', 1e3, 'time, ms'), ('memory', 1e-6, 'memory, MB'))
    for ax, (key, scale, title) in zip(figure.subplots(1, 2), panels, strict=True):
        for form, style, name in ((OURS, 'o-', OURS), (PEER, 's--', 'as many convolutions')):
            at, values = ([row[k] for row in forms[form]] for k in ('at', key))
            ax.plot(at, [scale * value for value in values], style, markersize=4, label=name)
        ax.set_ylim(bottom=0)
        ax.set_xticks(at := [row['at'] for row in forms[OURS]], [f'{value:.0f}' for value in at])
        ax.tick_params(labelsize=7)
        ax.set_title(title, fontsize=9)
        ax.set_xlabel('atrous rates')
        ax.legend(fontsize=7)
        ax.grid(alpha=0.3)
    return figure


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, threads=1, device='cpu')
