import csv
import io

import pytest

from mmseg_pacbal.apps.study import (
    Study,
    full_report,
    markdown,
    metrics_of,
    study_figure,
    summarise,
    to_csv,
)
from mmseg_pacbal.apps.study.plan import Row
from mmseg_pacbal.apps.study.report import missing, origin, overview
from mmseg_pacbal.apps.study.verdict import Comparison

STUDY = Study(
    'mine',
    'camvid',
    'base',
    dict(base=Row('base', 'a.py', reported=70.0), ours=Row('ours', 'b.py', reported=70.5)),
)
BASE, OURS = [40.0, 41.0, 45.0], [41.0, 43.0, 45.5]


def records(base=BASE, ours=OURS) -> list[dict]:
    rows = [('base', seed, value) for seed, value in enumerate(base)]
    rows += [('ours', seed, value) for seed, value in enumerate(ours)]
    here = dict(commit='abc1234', machine='CPU')
    return [
        dict(row=row, seed=seed, metrics=dict(mIoU=value, aAcc=2 * value), environment=here)
        for row, seed, value in rows
    ]


def test_one_seed_has_no_interval():
    (base, ours) = summarise(STUDY, records([40.0], [41.0]), 'mIoU')
    assert (ours.mean, ours.deviation, ours.paired) == (41.0, None, Comparison(1, 1.0))
    assert (base.mean, base.paired) == (40.0, Comparison())


def test_only_seeds_that_both_have_are_paired():
    (base, ours) = summarise(STUDY, records([40.0, 41.0, 45.0], [41.0, 43.0]), 'mIoU')
    assert (base.seeds, ours.seeds) == (3, 2)
    assert (ours.paired.pairs, ours.paired.difference) == (2, 1.5)
    assert ours.mean == 42.0


def test_rows_without_runs_are_left_out():
    assert [s.row for s in summarise(STUDY, records(ours=[]), 'mIoU')] == ['base']


def test_metrics_that_all_records_hold():
    some = [dict(metrics=dict(mIoU=1.0, mBF1=2.0)), dict(metrics=dict(mIoU=1.0))]
    assert metrics_of(some) == ['mIoU']


def test_markdown_shows_figures_and_marks_what_is_reported():
    assert markdown(STUDY, summarise(STUDY, records(), 'mIoU')) == (
        '| row of mine | seeds | mIoU | difference to base | 95 % interval '
        '| reported on VOC 2012 |\n'
        '|---|---:|---:|---:|---:|---:|\n'
        '| base | 3 | 42.00 ± 2.65 |  |  |  |\n'
        '| ours | 3 | 43.17 ± 2.25 | +1.17 | -0.73 to +3.06 | +0.50 |\n'
    )


def test_csv_holds_the_same():
    rows = list(csv.DictReader(io.StringIO(to_csv(summarise(STUDY, records(), 'mIoU')))))
    assert [row['row'] for row in rows] == ['base', 'ours']
    assert (rows[1]['mean'], rows[1]['difference']) == ('43.1667', '1.16667')
    # With 2 degrees of freedom p = 1 - t / sqrt(t^2 + 2), and t^2 = 7.
    assert (rows[1]['pairs'], rows[1]['p'], rows[1]['p_holm']) == ('3', '0.118083', '0.118083')
    assert (rows[0]['low'], rows[1]['reported_difference']) == ('', '0.5')


def test_plot_shows_the_differences():
    figure = study_figure(dict(mIoU=summarise(STUDY, records(), 'mIoU')), 'base')
    (panel,) = figure.axes
    assert panel.get_title() == 'mIoU'
    assert [text.get_text() for text in panel.get_yticklabels()] == ['ours']
    shown = [line.get_xdata()[0] for line in panel.lines if len(line.get_xdata())]
    assert pytest.approx(7 / 6) in shown  # measured
    assert 0.5 in shown  # reported


def test_full_report():
    text = full_report(STUDY, records(), [0, 1, 2])
    table = markdown(STUDY, summarise(STUDY, records(), 'mIoU'))
    assert text == table + (
        '\n- ours, mIoU: +1.2 (-0.7 to +3.1), three seeds: not decided; an interval that leaves '
        'out 0 at this difference and spread needs about 5 seeds\n'
        '\nRun by commit abc1234 on CPU.\n'
    )


def test_overview_has_all_primary_metrics_and_marks_what_is_decided():
    some = records()
    for record in some:
        # Differences of 2 - 0.01, 2 and 2 + 0.01, which decide, and of -1 for each seed.
        sure = 30.0 + (record['row'] == 'ours') * (2 + 0.01 * (record['seed'] - 1))
        record['metrics'] |= {'trimap_mIoU@4': sure, 'mBF1': 20.0 - (record['row'] == 'ours')}
    table, _, rest = full_report(STUDY, some, [0, 1, 2]).partition('\n\n')
    assert table.splitlines() == [
        '| row of mine | seeds | mIoU | difference | trimap_mIoU@4 | difference | mBF1 '
        '| difference |',
        '|---|---:|---:|---:|---:|---:|---:|---:|',
        '| base | 3 | 42.00 |  | 30.00 |  | 20.00 |  |',
        '| ours | 3 | 43.17 | +1.17 (-0.73 to +3.06) | 32.00 | **+2.00** (+1.98 to +2.02) '
        '| 19.00 | **-1.00** (-1.00 to -1.00) |',
    ]
    assert rest.startswith('| row of mine | seeds | mIoU | difference to base |')


def test_overview_of_one_seed_has_no_interval():
    some = records([40.0], [41.0])
    for record in some:
        record['metrics'] |= {'trimap_mIoU@4': 30.0, 'mBF1': 20.0}
    assert '| ours | 1 | 41.00 | +1.00 | 30.00 | +0.00 | 20.00 | +0.00 |' in overview(STUDY, some)


def test_a_partial_study_says_what_is_missing():
    assert missing(STUDY, records(), [0, 1, 2]) == ''
    some = records(ours=[41.0])
    assert missing(STUDY, some, range(4)) == (
        'A partial study: 4 of 8 runs are missing: base (seed 3), ours (seeds 1, 2, 3).\n'
    )
    assert full_report(STUDY, records(ours=[]), [0, 1, 2]).endswith(
        'A partial study: 3 of 6 runs are missing: ours (seeds 0, 1, 2).\n'
    )


def test_origin():
    some = records()
    assert origin(some) == 'Run by commit abc1234 on CPU.\n'
    some[0]['environment'] = dict(commit='def5678', machine='GPU')
    assert origin(some) == (
        'Run by commits def5678 (1 run), abc1234 (5 runs) on GPU (1 run), CPU (5 runs).\n'
    )
