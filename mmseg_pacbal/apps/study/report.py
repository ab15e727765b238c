"""The results of a study: tables, verdicts and a plot."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ...markdown import to_markdown
from ...metrics import label_counts
from .plan import Study
from .records import read_records
from .statistics import Comparison, Summary, rank_sentence, summaries, verdict

# docs/study_plan.md: the others decide nothing. A phone shows the first columns only.
PRIMARY = ('mBF1', 'mIoU', 'trimap_mIoU@4')
WRITTEN = ('table.md', 'table.csv', 'plot.png')
REPORTED = (*PRIMARY, 'mBIoU')


def write_report(study: Study, results: Path, seeds: Iterable[int] | None = None) -> str:
    """Write ``WRITTEN`` into the folder of the records; returns the text of ``table.md``.

    Without the ``seeds`` that were planned, they are the study's own and those that were run.
    """
    records = read_records(results)
    if not records:
        raise FileNotFoundError(f'{results} holds no finished run; run the study without --report')
    found = summaries(study, records)
    plotted = {metric: found[metric] for metric in REPORTED if metric in found}
    text = full_report(study, records, seeds or {*study.seeds, *(r['seed'] for r in records)})
    table, lines, plot = (results / name for name in WRITTEN)
    table.write_text(text)
    lines.write_text(to_csv([s for rows in found.values() for s in rows]))
    study_figure(plotted, study.baseline).savefig(plot, dpi=150)
    return text


def full_report(study: Study, records: Sequence[dict], seeds: Iterable[int]) -> str:
    """An overview of the ``PRIMARY`` metrics, the tables of the ``REPORTED`` ones, those of
    ``PRIMARY`` with their verdicts, and then which commit ran the study and which runs are missing.
    """
    found = summaries(study, records)
    parts = [overview(study, found)] if set(PRIMARY) <= set(found) else []
    for metric in [name for name in REPORTED if name in found]:
        parts.append(metric_table(study, found[metric]))
        if metric in PRIMARY and len(found[metric]) > 1:
            parts.append(verdicts(study, found[metric]))
    parts += [origin(records), changed(records), missing(study, records, seeds)]
    return '\n'.join(part for part in parts if part)


def overview(study: Study, found: dict[str, list[Summary]]) -> str:
    """One table of all ``PRIMARY`` metrics: means, and differences to the baseline with their
    intervals, in bold where they decide.
    """
    head = [f'row of {study.name}', 'seeds', *(cell for m in PRIMARY for cell in (m, 'difference'))]
    rows = []
    for columns in zip(*(found[metric] for metric in PRIMARY), strict=True):
        cells = [columns[0].row, str(columns[0].seeds)]
        for summary in columns:
            gain, interval = _signed(summary.paired.difference), _interval(summary.paired)
            if interval:
                bold = '**' if summary.paired.decides else ''
                gain = f'{bold}{gain}{bold} ({interval})'
            cells += [f'{summary.mean:.2f}', gain]
        rows.append(cells)
    return to_markdown(head, rows, left=1) + '\n'


def metric_table(study: Study, summaries: list[Summary]) -> str:
    """A table of one metric's summaries, with a marked column for what the paper reports."""
    reported = any(s.reported_difference is not None for s in summaries)
    head = [f'row of {study.name}', 'seeds', summaries[0].metric]
    head += [f'difference to {study.baseline}', '95 % interval', 'reported on VOC 2012']
    rows = []
    for s in summaries:
        cells = [s.row, str(s.seeds), with_deviation(s), _signed(s.paired.difference)]
        rows.append([*cells, _interval(s.paired), _signed(s.reported_difference)])
    columns = len(head) if reported else len(head) - 1
    return to_markdown(head[:columns], [row[:columns] for row in rows], left=1) + '\n'


def with_deviation(summary: Summary) -> str:
    """Such as ``'42.00 ± 2.65'``."""
    deviation = '' if summary.deviation is None else f' ± {summary.deviation:.2f}'
    return f'{summary.mean:.2f}{deviation}'


def verdicts(study: Study, summaries: Iterable[Summary]) -> str:
    """A line for each row except the baseline, and one that compares all with what is reported."""
    others = [s for s in summaries if s.row != study.baseline]
    lines = [f'{s.row}, {s.metric}: {verdict(s.paired)}' for s in others]
    pairs = [
        (s.reported_difference, s.paired.difference)
        for s in others
        if s.reported_difference is not None and s.paired.difference is not None
    ]
    if pairs:
        lines.append(rank_sentence(*zip(*pairs, strict=True)))
    return ''.join(f'- {line}\n' for line in lines if line)


def origin(records: Sequence[dict]) -> str:
    """A line that says which commits ran a study on which machines, and how many runs each."""

    def counted(key: str) -> str:
        runs = Counter(record['environment'][key] for record in records)
        if len(runs) == 1:
            return next(iter(runs))
        return ', '.join(f'{name} ({n} run{"s" * (n > 1)})' for name, n in runs.items())

    several = 's' * (len({record['environment']['commit'] for record in records}) > 1)
    return f'Run by commit{several} {counted("commit")} on {counted("machine")}.\n'


def changed(records: Sequence[dict]) -> str:
    """A line that says by which options a command changed its rows; empty if it did not."""
    given = Counter(
        ' '.join(f'{name}={value}' for name, value in record['options'].items())
        for record in records
        if record.get('options')
    )
    runs = [f'{options} ({n} of {len(records)} runs)' for options, n in given.items()]
    return f'Settings changed on the command line: {"; ".join(runs)}.\n' if runs else ''


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
    count, total = sum(map(len, absent.values())), len(seeds) * len(study.rows)
    return f'A partial study: {count} of {total} runs are missing: {", ".join(rows)}.\n'


def to_csv(summaries: Iterable[Summary]) -> str:
    rows = []
    for summary in summaries:
        cells = vars(summary) | vars(summary.paired)
        cells |= dict(deviation=summary.deviation, spread=summary.paired.deviation)
        # Digits that count, not decimals: a p-value may be small.
        rows.append({k: float(f'{v:.6g}') if isinstance(v, float) else v for k, v in cells.items()})
    names = ['row', 'metric', 'seeds', 'mean', 'deviation', 'pairs', 'difference', 'spread']
    names += ['low', 'high', 'p', 'p_holm', 'reported_difference']
    return label_counts.to_csv(names, ([row[name] for name in names] for row in rows))


def study_figure(summaries: dict[str, list[Summary]], baseline: str) -> Figure:
    """Differences to the baseline with their 95 % intervals, a panel for each metric."""
    names = [s.row for s in next(iter(summaries.values())) if s.row != baseline]
    size = 3.2 * len(summaries) + 1.2, 0.42 * len(names) + 1.5
    figure = Figure(figsize=size, layout='constrained')
    panels = figure.subplots(1, len(summaries), sharey=True, squeeze=False)[0]
    bars: dict = dict(fmt='o', color='tab:blue', capsize=3)
    hollow: dict = dict(marker='D', linestyle='', mfc='none', color='tab:orange')
    for panel, (metric, rows) in zip(panels, summaries.items(), strict=True):
        for s in rows:
            paired = s.paired
            if paired.difference is None:
                continue
            y, error = names.index(s.row), None
            if paired.low is not None and paired.high is not None:
                error = [[paired.difference - paired.low], [paired.high - paired.difference]]
            panel.errorbar(paired.difference, y, xerr=error, **bars)
            if s.reported_difference is not None:
                panel.plot(s.reported_difference, y, **hollow)
        panel.axvline(0, color='0.6', linewidth=0.8)
        panel.set_title(metric, fontsize=10)
        panel.set_xlabel(f'points above {baseline}', fontsize=9)
        panel.tick_params(labelsize=9)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(max(len(names), 1) - 0.5, -0.5)
    panels[0].errorbar([], [], xerr=[], **bars, label='measured, 95 % interval over paired seeds')
    if any(s.reported_difference is not None for rows in summaries.values() for s in rows):
        panels[0].plot([], [], **hollow, label='reported by the paper on VOC 2012 (mIoU)')
    figure.legend(loc='outside lower center', ncols=2, fontsize=8, frameon=False)
    return figure


def _interval(paired: Comparison) -> str:
    return '' if paired.low is None else f'{_signed(paired.low)} to {_signed(paired.high)}'


def _signed(value: float | None) -> str:
    return '' if value is None else f'{value:+.2f}'
