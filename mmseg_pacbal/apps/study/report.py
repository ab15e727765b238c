"""What a study found: means, differences to the baseline and their intervals."""

import csv
import io
import json
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import t

from ...markdown import to_markdown
from .plan import Study


@dataclass(frozen=True)
class Summary:
    """A row's figures for one metric.

    ``difference`` is the mean over the seeds that row and baseline share of row minus baseline,
    ``low`` and ``high`` its 95 % interval; None where there are too few seeds.
    """

    row: str
    metric: str
    seeds: int
    mean: float
    deviation: float | None
    difference: float | None
    low: float | None
    high: float | None
    reported_difference: float | None


def paired_interval(differences: list[float], level: float = 0.95) -> tuple[float, float] | None:
    """Interval of the mean of paired differences: mean -+ t * s / sqrt(n).

    t is Student's quantile with n - 1 degrees of freedom and s the sample's standard deviation
    (paired t-interval: a seed's luck, which row and baseline share, cancels).

    Args:
        differences: One for each pair.
        level: Confidence.

    Returns:
        Its ends; None for fewer than two pairs.
    """
    n = len(differences)
    if n < 2:
        return None
    half = t.ppf((1 + level) / 2, n - 1) * statistics.stdev(differences) / math.sqrt(n)
    mean = statistics.fmean(differences)
    return mean - half, mean + half


def read_records(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob('*-seed*.json'))]


def metrics_of(records: Iterable[dict]) -> list[str]:
    """Names of the metrics that all records hold, as the first orders them."""
    records = list(records)
    return [m for m in records[0]['metrics'] if all(m in r['metrics'] for r in records)]


def summarise(study: Study, records: Iterable[dict], metric: str) -> list[Summary]:
    """Figures of each row of a study for a metric, in the study's order; rows without runs are
    left out."""
    values: dict[str, dict[int, float]] = {name: {} for name in study.rows}
    for record in records:
        if record['row'] in values:
            values[record['row']][record['seed']] = record['metrics'][metric]
    return [_summary(study, name, values, metric) for name in values if values[name]]


def _summary(study: Study, name: str, values: dict, metric: str) -> Summary:
    own, base = values[name], values[study.baseline]
    pairs = [own[seed] - base[seed] for seed in own.keys() & base.keys()]
    if name == study.baseline:
        pairs = []
    low, high = paired_interval(pairs) or (None, None)
    return Summary(
        row=name,
        metric=metric,
        seeds=len(own),
        mean=statistics.fmean(own.values()),
        deviation=statistics.stdev(own.values()) if len(own) > 1 else None,
        difference=statistics.fmean(pairs) if pairs else None,
        low=low,
        high=high,
        reported_difference=study.reported_difference(name) if metric == 'mIoU' else None,
    )


def markdown(study: Study, summaries: list[Summary]) -> str:
    """A table of one metric's summaries; what the paper reports stands beside, marked so."""
    metric = summaries[0].metric
    reported = any(s.reported_difference is not None for s in summaries)
    head = [
        f'row of {study.name}',
        'seeds',
        metric,
        f'difference to {study.baseline}',
        '95 % interval',
    ]
    head += ['reported on VOC 2012'] if reported else []
    rows = []
    for s in summaries:
        spread = '' if s.deviation is None else f' ± {s.deviation:.2f}'
        cells = [s.row, str(s.seeds), f'{s.mean:.2f}{spread}', _signed(s.difference)]
        cells.append('' if s.low is None else f'{_signed(s.low)} to {_signed(s.high)}')
        cells += [_signed(s.reported_difference)] if reported else []
        rows.append(cells)
    return to_markdown(head, rows, left=1) + '\n'


def to_csv(summaries: list[Summary]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Summary.__dataclass_fields__), lineterminator='\n')
    writer.writeheader()
    for summary in summaries:
        row = {k: round(v, 4) if isinstance(v, float) else v for k, v in vars(summary).items()}
        writer.writerow(row)
    return text.getvalue()


def _signed(value: float | None) -> str:
    return '' if value is None else f'{value:+.2f}'
