"""The results of a study: means, differences to the baseline, their intervals and verdicts."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...markdown import to_markdown
from .plan import Study
from .plot import study_figure
from .rank import FEWEST_ROWS, rank_correlation, rank_sentence
from .records import read_records
from .summary import Summary, metrics_of, summarise
from .verdict import Comparison, decides, verdict

PRIMARY = ('mIoU', 'trimap_mIoU@4', 'mBF1')  # docs/study_plan.md: the others decide nothing
WRITTEN = ('table.md', 'table.csv', 'plot.png')
REPORTED = ('mIoU', 'trimap_mIoU@4', 'mBIoU', 'mBF1')


def write_report(study: Study, results: Path, seeds: Iterable[int] | None = None) -> str:
    """Write ``WRITTEN`` into the records' folder.

    Args:
        study: What was planned.
        results: The folder.
        seeds: Those that were planned; None: the study's own and those that were run.

    Returns:
        The text of ``table.md``.

    Raises:
        FileNotFoundError: The folder holds no record.
    """
    records = read_records(results)
    if not records:
        raise FileNotFoundError(f'{results} holds no finished run; run the study without --report')
    summaries = {metric: summarise(study, records, metric) for metric in metrics_of(records)}
    plotted = {metric: summaries[metric] for metric in REPORTED if metric in summaries}
    text = full_report(study, records, seeds or {*study.seeds, *(r['seed'] for r in records)})
    table, lines, plot = (results / name for name in WRITTEN)
    table.write_text(text)
    lines.write_text(to_csv([s for rows in summaries.values() for s in rows]))
    study_figure(plotted, study.baseline).savefig(plot, dpi=150)
    return text


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
    for metric in [name for name in REPORTED if name in measured]:
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
        gain = f'{bold}{gain}{bold} ({_interval(paired)})'
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
    head = [f'row of {study.name}', 'seeds', metric, f'difference to {study.baseline}']
    head.append('95 % interval')
    if reported:
        head.append('reported on VOC 2012')
    rows = []
    for s in summaries:
        plus_minus = '' if s.deviation is None else f' ± {s.deviation:.2f}'
        cells = [s.row, str(s.seeds), f'{s.mean:.2f}{plus_minus}', _signed(s.paired.difference)]
        cells.append(_interval(s.paired))
        if reported:
            cells.append(_signed(s.reported_difference))
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
    paired = summary.paired
    cells = dict(
        row=summary.row,
        metric=summary.metric,
        seeds=summary.seeds,
        mean=summary.mean,
        deviation=summary.deviation,
        pairs=paired.pairs,
        difference=paired.difference,
        spread=paired.deviation,
        low=paired.low,
        high=paired.high,
        p=paired.p,
        p_holm=paired.p_holm,
        reported_difference=summary.reported_difference,
    )
    # Digits that count, not decimals: a p-value may be small.
    return {k: float(f'{v:.6g}') if isinstance(v, float) else v for k, v in cells.items()}


def _interval(paired: Comparison) -> str:
    return '' if paired.low is None else f'{_signed(paired.low)} to {_signed(paired.high)}'


def _signed(value: float | None) -> str:
    return '' if value is None else f'{value:+.2f}'
