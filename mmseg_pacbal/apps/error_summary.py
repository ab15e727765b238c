"""Errors of two models over several seeds, from what ``tools/analyze_errors.py`` wrote for each."""

import argparse
import csv
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ..markdown import to_markdown
from .refusals import require_table
from .study.statistics import compare

Figures = dict[tuple[str, str], float]  # by measure and region


def main(args: argparse.Namespace) -> None:
    print(error_table(args.folders))


def error_table(folders: Sequence[Path]) -> str:
    """A Markdown table of both models' means, their paired differences and 95 % intervals.

    Measures are mIoU in %, wrong pixels in % of all pixels, and expected calibration
    error and overconfidence as shares; those without a figure in some folder are left out.

    Args:
        folders: Results of ``tools/analyze_errors.py --compare``, a folder for each seed. The same
            two models, by name, are in all of them; differences are second minus first.
    """
    seeds = [read_errors(folder) for folder in folders]
    models = list(seeds[0])
    for folder, seed in zip(folders, seeds, strict=True):
        if len(seed) != 2 or list(seed) != models:
            raise ValueError(
                f'{folder} holds the errors of {", ".join(seed)}, but all folders must hold the '
                f'same two models as {folders[0]}; write them with pacbal analyze --compare'
            )
    rows = []
    for cell in seeds[0][models[0]]:
        if not all(cell in figures for seed in seeds for figures in seed.values()):
            continue
        first, second = ([seed[model][cell] for seed in seeds] for model in models)
        paired = compare([b - a for a, b in zip(first, second, strict=True)])
        digits = 2 if cell[0] in ('mIoU', 'errors') else 4  # %, or shares
        means = [f'{statistics.fmean(values):.{digits}f}' for values in (first, second)]
        ends = [f'{end:+.{digits}f}' for end in (paired.low, paired.high) if end is not None]
        rows.append([*cell, *means, f'{paired.difference:+.{digits}f}', ' to '.join(ends)])
    return to_markdown(['measure', 'region', *models, 'difference', '95 % interval'], rows, left=2)


def read_errors(folder: Path) -> dict[str, Figures]:
    """Each model's figures in a folder; regions without a pixel have none."""
    figures: dict[str, Figures] = defaultdict(dict)
    means = [line for line in _lines(folder / 'regions.csv') if line['class'] == 'mean']
    for line in means:
        figures[line['model']]['mIoU', line['region']] = float(line['IoU'])
    everything = {line['model']: int(line['pixels']) for line in means if line['region'] == 'all'}
    for line in means:
        wrong = int(line['pixels']) - int(line['right'])
        figures[line['model']]['errors', line['region']] = 100 * wrong / everything[line['model']]
    bins: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for line in _lines(folder / 'calibration.csv'):
        gap = float(line['confidence']) - float(line['accuracy'])
        bins[line['model'], line['region']].append((int(line['pixels']), gap))
    for measure, size in (('ECE', abs), ('overconfidence', float)):
        for (model, region), gaps in bins.items():
            total = sum(n * size(gap) for n, gap in gaps)
            figures[model][measure, region] = total / sum(n for n, _ in gaps)
    return figures


def _lines(path: Path) -> list[dict[str, str]]:
    """The lines of a table that count pixels."""
    require_table(path)
    with path.open() as file:
        return [line for line in csv.DictReader(file) if int(line['pixels'])]
