"""Errors of two models over several seeds, from what ``tools/analyze_errors.py`` wrote for each."""

import csv
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..markdown import to_markdown
from .study.verdict import compare

Cell = tuple[str, str]  # measure and region
Line = dict[str, str]  # of a CSV file
Measure = Callable[[Sequence[Line], Sequence[Line]], float]  # of a region and of everything


def error_table(folders: Sequence[Path]) -> str:
    """A Markdown table of both models' means, their paired differences and 95 % intervals.

    Measures are mIoU in per cent, wrong pixels in per cent of all pixels, and expected calibration
    error and overconfidence as shares; those without a figure in some folder are left out.

    Args:
        folders: Results of ``tools/analyze_errors.py --compare``, a folder for each seed. The same
            two models, by name, are in all of them; differences are second minus first.

    Raises:
        FileNotFoundError: A folder lacks ``regions.csv`` or ``calibration.csv``.
        ValueError: A folder has another number of models than two, or other models than the first.
    """
    seeds = [_read(folder) for folder in folders]
    models = list(seeds[0])
    for folder, seed in zip(folders, seeds, strict=True):
        if len(seed) != 2 or list(seed) != models:
            raise ValueError(
                f'{folder} holds the errors of {", ".join(seed)}, but all folders must hold the '
                f'same two models as {folders[0]}; write them with analyze_errors.py --compare'
            )
    first, second = ([seed[model] for seed in seeds] for model in models)
    rows = []
    for cell in first[0]:
        if not all(cell in seed for seed in first + second):
            continue
        values = [[seed[cell] for seed in model] for model in (first, second)]
        paired = compare([b - a for a, b in zip(*values, strict=True)])
        digits = 2 if cell[0] in _PER_CENT else 4
        cells = [f'{statistics.fmean(model):.{digits}f}' for model in values]
        interval = (
            '' if paired.low is None else f'{paired.low:+.{digits}f} to {paired.high:+.{digits}f}'
        )
        rows.append([*cell, *cells, f'{paired.difference:+.{digits}f}', interval])
    return to_markdown(['measure', 'region', *models, 'difference', '95 % interval'], rows, left=2)


def _read(folder: Path) -> dict[str, dict[Cell, float]]:
    """Each model's figures in a folder."""
    found: dict[str, dict[Cell, float]] = {}
    for name, measures in _MEASURES.items():
        path = folder / f'{name}.csv'
        if not path.is_file():
            raise FileNotFoundError(
                f'{path} does not exist; give folders that analyze_errors.py wrote with --out'
            )
        with path.open() as file:
            lines = list(csv.DictReader(file))
        for model in dict.fromkeys(line['model'] for line in lines):
            own = [line for line in lines if line['model'] == model]
            figures = found.setdefault(model, {})
            for measure, value in measures.items():
                for region in dict.fromkeys(line['region'] for line in own):
                    of_region = [line for line in own if line['region'] == region]
                    if sum(int(line['pixels']) for line in of_region):
                        figures[measure, region] = value(of_region, own)
    return found


def _mean_iou(region: Sequence[Line], _: Sequence[Line]) -> float:
    return float(next(line['IoU'] for line in region if line['class'] == 'mean'))


def _error_share(region: Sequence[Line], everything: Sequence[Line]) -> float:
    wrong, _ = _wrong_and_pixels(region)
    _, pixels = _wrong_and_pixels(line for line in everything if line['region'] == 'all')
    return 100 * wrong / pixels


def _wrong_and_pixels(lines: Iterable[Line]) -> tuple[int, int]:
    mean = next(line for line in lines if line['class'] == 'mean')
    return int(mean['pixels']) - int(mean['right']), int(mean['pixels'])


def _calibration_error(region: Sequence[Line], _: Sequence[Line]) -> float:
    return _mean_gap(region, abs)


def _overconfidence(region: Sequence[Line], _: Sequence[Line]) -> float:
    return _mean_gap(region, float)


def _mean_gap(bins: Sequence[Line], size: Callable[[float], float]) -> float:
    """Mean over the pixels of confidence minus accuracy, or of its size in each bin."""
    filled = [line for line in bins if int(line['pixels'])]
    gaps = [
        int(line['pixels']) * size(float(line['confidence']) - float(line['accuracy']))
        for line in filled
    ]
    return sum(gaps) / sum(int(line['pixels']) for line in filled)


_PER_CENT: dict[str, Measure] = {'mIoU': _mean_iou, 'errors': _error_share}
_MEASURES: dict[str, dict[str, Measure]] = {
    'regions': _PER_CENT,
    'calibration': {'ECE': _calibration_error, 'overconfidence': _overconfidence},
}
