"""The figures of the docs, made from the JSON files in benchmarks/results.

python -m benchmarks.pages           print the table of costs
python -m benchmarks.pages --write   write every table where it stands
"""

import argparse
import functools
from collections.abc import Callable

from benchmarks import figures, tables
from benchmarks.harness import ROOT
from benchmarks.markdown import fill
from mmseg_pacbal.markdown import to_markdown


def main(args: argparse.Namespace) -> None:
    print(costs())
    if args.write:
        for page in PAGES:
            path = ROOT / page
            path.write_text(filled(page, path.read_text()))
            print(f'written to {path}')


def filled(page: str, text: str) -> str:
    """The text of a page with its tables made anew."""
    return fill(text, {name: make() for name, make in PAGES[page].items()})


def costs() -> str:
    configs = ' / '.join(figures.results('training_step')['times'])
    rows = [
        (
            'PAC, five rates, against the sum of five convolutions, 2048 -> 256 channels',
            figures.five_figures(),
            'pyramid_atrous_conv',
        ),
        ('the same against one of the five alone', figures.one_figures(), 'pyramid_atrous_conv'),
        (
            "`PACHead` against `ASPPHead` with 512 channels (MMSegmentation's DeepLabV3), "
            '2048 channels at 33x33 and 65x65',
            figures.head_figures(),
            'pac_head',
        ),
        (
            f'training step of {configs}, {figures.crop()}',
            figures.step_figures(),
            'pac_head --steps',
        ),
        (
            'weight map against the plain definition, 21 classes, 513x513',
            f'{figures.map_speedup():.0f} times faster',
            'boundary_weight',
        ),
        (
            'weight map, share of the loss step it joins, batch 8 / 4 / 1',
            ' / '.join(f'{100 * figures.map_share(batch):.1f} %' for batch in (8, 4, 1)),
            'boundary_weight',
        ),
        (
            '`LeanHead` against the plain path, batch 4, 512x512, 21 / 150 classes',
            figures.lean_figures(),
            'lean_loss',
        ),
        (
            '`BoundaryMetric`, an image of 500x375 with 21 classes, one thread',
            f'{1e3 * figures.metric_seconds():.0f} ms',
            'boundary_metric',
        ),
    ]
    cells = [[what, measured, f'`python -m benchmarks.{by}`'] for what, measured, by in rows]
    return to_markdown(['what', 'measured', 'by'], cells, left=3)


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    'docs/benchmarks.md': dict(benchmarks=costs),
    'docs/pyramid_atrous_conv.md': dict(
        pyramid=tables.pyramid_table,
        accuracy=tables.accuracy_table,
        grid=tables.grid_table,
        head=tables.head_table,
        steps=tables.step_table,
    ),
    'docs/boundary_weights.md': dict(
        lean=tables.lean_table, map=functools.partial(tables.times_table, 'boundary_weight')
    ),
    'docs/boundary_metrics.md': dict(
        metric=functools.partial(tables.times_table, 'boundary_metric')
    ),
}


if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    p.add_argument('--write', action='store_true', help='write the docs')
    main(p.parse_args())
