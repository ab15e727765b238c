"""The results of a study: means, differences to the baseline, their intervals and verdicts."""

import csv
import io
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...markdown import to_markdown
from .plan import Study
from .rank import FEWEST_ROWS, rank_correlation, rank_sentence
from .verdict import Comparison, adjust, compare, decides, verdict

PRIMARY = ('mIoU', 'trimap_mIoU@4', 'mBF1')  # docs/study_plan.md: the others decide nothing
REPORTED = ('mIoU', 'trimap_mIoU@4', 'mBIoU', 'mBF1')


@dataclass(frozen=True)
class Summary:
    """A row's figures for one metric: mean and standard deviation over its seeds, and how it
    compares with the baseline."""

    row: str
    metric: str
    seeds: int
    mean: float
    deviation: float | None
    paired: Comparison
    reported_difference: float | None


def metrics_of(records: Iterable[dict]) -> list[str]:
    """Names of the metrics that all records hold, as the first orders them."""
    records = list(records)
    return [m for m in records[0]['metrics'] if all(m in r['metrics'] for r in records)]


def summarise(study: Study, records: Iterable[dict], metric: str) -> list[Summary]:
    """The figures of each row of a study for one metric, in the study's order.

    Rows without runs are left out, but count as comparisons.
    """
    values: dict[str, dict[int, float]] = {name: {} for name in study.rows}
    for record in records:
        if record['row'] in values:
            values[record['row']][record['seed']] = record['metrics'][metric]
    base = values[study.baseline]
    pairs = {
        name: [own[seed] - base[seed] for seed in own if seed in base]
        for name, own in values.items()
        if name != study.baseline
    }
    found = adjust([compare(differences) for differences in pairs.values()])
    paired = dict(zip(pairs, found, strict=True))
    return [
        Summary(
            row=name,
            metric=metric,
            seeds=len(own),
            mean=statistics.fmean(own.values()),
            deviation=statistics.stdev(own.values()) if len(own) > 1 else None,
            paired=paired.get(name, Comparison()),
            reported_difference=study.reported_difference(name) if metric == 'mIoU' else None,
        )
        for name, own in values.items()
        if own
    ]


def verdicts(study: Study, summaries: Iterable[Summary]) -> str:
    """A line for each row except the baseline: what the figures of one metric support."""
    others = [s for s in summaries if s.row != study.baseline]
    return ''.join(f'- {s.row}, {s.metric}: {verdict(s.paired)}\n' for s in others)


def full_report(study: Study, records: Sequence[dict], seeds: Iterable[int]) -> str:
    """An overview of the ``PRIMARY`` metrics, the tables of the ``REPORTED`` ones, those of
    ``PRIMARY`` with their verdicts, and then which commit ran the study and which runs are missing.

    Args:
        study: What was planned.
        records: The records of the runs that are finished, at least one.
        seeds: The seeds that were planned.
    """
    measured = metrics_of(records)
    parts = [overview(study, records)] if set(PRIMARY) <= set(measured) else []
    for metric in (name for name in REPORTED if name in measured):
        summaries = summarise(study, records, metric)
        parts.append(markdown(study, summaries))
        if metric in PRIMARY and len(summaries) > 1:
            parts.append(verdicts(study, summaries) + order(summaries))
    parts += [origin(records), missing(study, records, seeds)]
    return '\n'.join(part for part in parts if part)


def overview(study: Study, records: Sequence[dict]) -> str:
    """One table of all ``PRIMARY`` metrics: means, and differences to the baseline with their
    intervals, in bold where they decide. Records hold all of these metrics.
    """
    columns = [summarise(study, records, metric) for metric in PRIMARY]
    head = [f'row of {study.name}', 'seeds', *(cell for m in PRIMARY for cell in (m, 'difference'))]
    rows = [
        [found[0].row, str(found[0].seeds), *(cell for s in found for cell in _mean_and_gain(s))]
        for found in zip(*columns, strict=True)
    ]
    return to_markdown(head, rows, left=1) + '\n'


def _mean_and_gain(summary: Summary) -> tuple[str, str]:
    paired = summary.paired
    gain = _signed(paired.difference)
    if paired.low is not None:
        bold = '**' if decides(paired) else ''
        gain = f'{bold}{gain}{bold} ({_signed(paired.low)} to {_signed(paired.high)})'
    return f'{summary.mean:.2f}', gain


def order(summaries: Iterable[Summary]) -> str:
    """A line that says whether the measured differences follow the reported ones.

    It is empty if fewer than ``FEWEST_ROWS`` rows have both.
    """
    pairs = [
        (s.reported_difference, s.paired.difference)
        for s in summaries
        if s.reported_difference is not None and s.paired.difference is not None
    ]
    if len(pairs) < FEWEST_ROWS:
        return ''
    reported, measured = zip(*pairs, strict=True)
    return f'- {rank_sentence(rank_correlation(reported, measured))}\n'


def origin(records: Sequence[dict]) -> str:
    """A line that says which commits ran a study on which machines, and how many runs each."""
    commits, machines = (
        Counter(record['environment'][key] for record in records) for key in ('commit', 'machine')
    )
    several = 's' * (len(commits) > 1)
    return f'Run by commit{several} {_counted(commits)} on {_counted(machines)}.\n'


def _counted(names: Counter[str]) -> str:
    if len(names) == 1:
        return next(iter(names))
    return ', '.join(f'{name} ({n} run{"s" * (n > 1)})' for name, n in names.items())


def missing(study: Study, records: Iterable[dict], seeds: Iterable[int]) -> str:
    """A line that says which runs of a study are missing; empty if none is."""
    there = {(record['row'], record['seed']) for record in records}
    seeds = sorted(seeds)
    absent = {row: [seed for seed in seeds if (row, seed) not in there] for row in study.rows}
    rows = [
        f'{row} (seed{"s" * (len(gone) > 1)} {", ".join(map(str, gone))})'
        for row, gone in absent.items()
        if gone
    ]
    if not rows:
        return ''
    count = sum(map(len, absent.values()))
    total = len(seeds) * len(study.rows)
    return f'A partial study: {count} of {total} runs are missing: {", ".join(rows)}.\n'


def markdown(study: Study, summaries: list[Summary]) -> str:
    """A table of one metric's summaries, with a marked column for what the paper reports."""
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
        cells = [s.row, str(s.seeds), f'{s.mean:.2f}{spread}', _signed(s.paired.difference)]
        low, high = s.paired.low, s.paired.high
        cells.append('' if low is None else f'{_signed(low)} to {_signed(high)}')
        cells += [_signed(s.reported_difference)] if reported else []
        rows.append(cells)
    return to_markdown(head, rows, left=1) + '\n'


def to_csv(summaries: Iterable[Summary]) -> str:
    rows = [_flat(summary) for summary in summaries]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(summary: Summary) -> dict:
    cells = vars(summary) | vars(summary.paired)
    del cells['paired'], cells['comparisons']
    cells['reported_difference'] = cells.pop('reported_difference')  # the last column
    # Digits that count, not decimals: a p-value may be small.
    return {k: float(f'{v:.6g}') if isinstance(v, float) else v for k, v in cells.items()}


def _signed(value: float | None) -> str:
    return '' if value is None else f'{value:+.2f}'
