"""Tables of the scores of one or two models in each region.

``totals`` maps the name of a model to its counts over the data set, (R, 3, C), as
:func:`region_counts` gives them; the regions, in this order, are ``REGIONS``.
"""

import csv
import io
from collections.abc import Sequence

import numpy as np

from ..markdown import to_markdown
from .hard_regions import REGIONS
from .label_counts import accuracy, iou, mean_percent, ratio_or_nan

Totals = dict[str, np.ndarray]


def region_table(totals: Totals) -> str:
    """A Markdown table with a line for each region, in per cent.

    Columns are the region's share of all pixels and, for each model, mIoU, mean accuracy (mAcc)
    and the pixels of the region that are wrong, as a share of all pixels (errors); for two models
    also the difference, second minus first. A dash means that there is nothing to measure.
    """
    columns = _columns(totals)
    rows = [
        [region, *(_cell(head, values[i]) for head, values in columns.items())]
        for i, region in enumerate(REGIONS)
    ]
    return to_markdown(['region', *columns], rows, left=1)


def region_csv(totals: Totals, classes: Sequence[str]) -> str:
    """CSV, a line for each model, region and class; ``mean`` is over the classes that occur."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['model', 'region', 'class', 'pixels', 'right', 'IoU', 'accuracy'])
    for name, total in totals.items():
        for region, counts in zip(REGIONS, total, strict=True):
            right, _, pixels = counts
            lines = zip(classes, pixels, right, iou(counts), accuracy(counts), strict=True)
            for label, n, hits, *scores in lines:
                cells = ('' if np.isnan(s) else f'{100 * s:.2f}' for s in scores)
                writer.writerow([name, region, label, n, hits, *cells])
            means = (f'{mean_percent(score(counts)):.2f}' for score in (iou, accuracy))
            writer.writerow([name, region, 'mean', pixels.sum(), right.sum(), *means])
    return text.getvalue()


def pixel_share(total: np.ndarray) -> np.ndarray:
    """Share of each region in all pixels, in per cent: (R, 3, C) -> (R,)."""
    return _share_of_all(total, total[:, 2])


def _columns(totals: Totals) -> dict[str, np.ndarray]:
    """Head and values, (R,), of each column of the table."""
    columns = {'pixels': pixel_share(next(iter(totals.values())))}
    for measure, score in MEASURES.items():
        values = [score(total) for total in totals.values()]
        heads = [f'{measure} {name}'.strip() for name in totals]
        columns |= dict(zip(heads, values, strict=True))
        if len(values) == 2:
            columns[f'{measure} difference'] = values[1] - values[0]
    return columns


def _cell(head: str, value: float) -> str:
    if np.isnan(value):
        return '-'
    return f'{value:+.2f}' if head.endswith(' difference') else f'{value:.2f}'


def _mean_iou(total: np.ndarray) -> np.ndarray:
    return np.array([mean_percent(score) for score in iou(total)])


def _mean_accuracy(total: np.ndarray) -> np.ndarray:
    return np.array([mean_percent(score) for score in accuracy(total)])


def _error_share(total: np.ndarray) -> np.ndarray:
    return _share_of_all(total, total[:, 2] - total[:, 0])


def _share_of_all(total: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Pixels of regions and classes, (R, C), in per cent of all pixels (the first region)."""
    pixels = pixels.sum(1)
    return 100 * ratio_or_nan(pixels, np.full_like(pixels, total[0, 2].sum()))


MEASURES = {'mIoU': _mean_iou, 'mAcc': _mean_accuracy, 'errors': _error_share}
