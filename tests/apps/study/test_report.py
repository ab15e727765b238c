"""Figures, tables and sentences of a study; tests/test_results.py has the committed ones."""

import csv
import io

import pytest

from mmseg_pacbal.apps.study.plan import Row, Study
from mmseg_pacbal.apps.study.report import (
    changed,
    full_report,
    metric_table,
    missing,
    origin,
    overview,
    study_figure,
    to_csv,
)
from mmseg_pacbal.apps.study.statistics import Comparison, summaries, summarise

STUDY = Study(
    'mine',
    'camvid',
    'base',
    dict(base=Row('base', 'a.py', reported=70.0), ours=Row('ours', 'b.py', reported=70.5)),
)


def records(base=(40.0, 41.0, 45.0), ours=(41.0, 43.0, 45.5), **metrics: float) -> list[dict]:
    """Of two rows; ``metrics`` are those of the second, which are 1 in the first."""
    here = dict(commit='abc1234', machine='CPU')
    return [
        dict(
            row=row,
            seed=seed,
            metrics=dict(mIoU=value) | {k: v if row == 'ours' else 1.0 for k, v in metrics.items()},
            environment=here,
        )
        for row, values in (('base', base), ('ours', ours))
        for seed, value in enumerate(values)
    ]


def test_only_seeds_that_both_have_are_paired():
    base, ours = summarise(STUDY, records(ours=(41.0, 43.0)), 'mIoU')
    assert (base.seeds, base.mean, base.paired) == (3, 42.0, Comparison())
    assert (ours.seeds, ours.mean) == (2, 42.0)
    assert (ours.paired.pairs, ours.paired.difference) == (2, 1.5)


def test_one_seed_or_none():
    _, ours = summarise(STUDY, records([40.0], [41.0]), 'mIoU')
    assert (ours.mean, ours.deviation, ours.paired) == (41.0, None, Comparison(1, 1.0))
    one = summaries(STUDY, records([40.0], [41.0], **{'trimap_mIoU@4': 3.0, 'mBF1': 1.0}))
    assert '| ours | 1 | 1.00 | +0.00 | 41.00 | +1.00 | 3.00 | +2.00 |' in overview(STUDY, one)
    assert [s.row for s in summarise(STUDY, records(ours=[]), 'mIoU')] == ['base']


def test_metrics_that_all_records_hold():
    some = records(mBF1=2.0)
    del some[-1]['metrics']['mBF1']
    assert summaries(STUDY, some) == dict(mIoU=summarise(STUDY, some, 'mIoU'))


def test_full_report():
    assert full_report(STUDY, records(), [0, 1, 2]) == (
        '| row of mine | seeds | mIoU | difference to base | 95 % interval '
        '| reported on VOC 2012 |\n'
        '|---|---:|---:|---:|---:|---:|\n'
        '| base | 3 | 42.00 ± 2.65 |  |  |  |\n'
        '| ours | 3 | 43.17 ± 2.25 | +1.17 | -0.73 to +3.06 | +0.50 |\n'
        '\n- ours, mIoU: +1.2 (-0.7 to +3.1), three seeds: not decided; deciding it would '
        'take about 5 seeds at this difference and spread\n'
        '\nRun by commit abc1234 on CPU.\n'
    )


def test_overview_has_all_primary_metrics_and_marks_what_is_decided():
    some = records(**{'trimap_mIoU@4': 3.0, 'mBF1': 0.0})
    for record in some:  # differences of 2 - 0.01, 2 and 2 + 0.01
        if record['row'] == 'ours':
            record['metrics']['trimap_mIoU@4'] += 0.01 * (record['seed'] - 1)
    table, _, rest = full_report(STUDY, some, [0, 1, 2]).partition('\n\n')
    assert table.splitlines() == [
        '| row of mine | seeds | mBF1 | difference | mIoU | difference | trimap_mIoU@4 '
        '| difference |',
        '|---|---:|---:|---:|---:|---:|---:|---:|',
        '| base | 3 | 1.00 |  | 42.00 |  | 1.00 |  |',
        '| ours | 3 | 0.00 | **-1.00** (-1.00 to -1.00) | 43.17 | +1.17 (-0.73 to +3.06) '
        '| 3.00 | **+2.00** (+1.98 to +2.02) |',
    ]
    assert rest.startswith('| row of mine | seeds | mBF1 | difference to base |')


def test_csv_holds_the_same():
    rows = list(csv.DictReader(io.StringIO(to_csv(summarise(STUDY, records(), 'mIoU')))))
    assert [row['row'] for row in rows] == ['base', 'ours']
    assert (rows[1]['mean'], rows[1]['difference']) == ('43.1667', '1.16667')
    # With 2 degrees of freedom p = 1 - t / sqrt(t^2 + 2), and t^2 = 7.
    assert (rows[1]['pairs'], rows[1]['p'], rows[1]['p_holm']) == ('3', '0.118083', '0.118083')
    assert (rows[0]['low'], rows[1]['reported_difference']) == ('', '0.5')


def test_plot_shows_the_differences():
    (panel,) = study_figure(dict(mIoU=summarise(STUDY, records(), 'mIoU')), 'base').axes
    assert panel.get_title() == 'mIoU'
    assert [text.get_text() for text in panel.get_yticklabels()] == ['ours']
    shown = [line.get_xdata()[0] for line in panel.lines if len(line.get_xdata())]
    assert pytest.approx(7 / 6) in shown  # measured
    assert 0.5 in shown  # reported


@pytest.mark.parametrize(
    ('ours', 'seeds', 'said'),
    [
        ([1.0] * 3, 3, ''),
        ([1.0], 4, '4 of 8 runs are missing: base (seed 3), ours (seeds 1, 2, 3).'),
        ([], 3, '3 of 6 runs are missing: ours (seeds 0, 1, 2).'),
    ],
)
def test_a_partial_study_says_what_is_missing(ours, seeds, said):
    expected = said and f'A partial study: {said}\n'
    assert missing(STUDY, records(ours=ours), range(seeds)) == expected
    assert full_report(STUDY, records(ours=ours), range(seeds)).endswith(expected)


def test_changed_settings_are_said():
    some = records()
    assert changed(some) == ''
    for record in some[:2]:
        record['options'] = {'train_cfg.max_iters': 20, '--amp': 'cpu'}
    some[2]['options'] = {'crop_size': [33, 33]}
    line = (
        'Settings changed on the command line: train_cfg.max_iters=20 --amp=cpu (2 of 6 runs); '
        'crop_size=[33, 33] (1 of 6 runs).\n'
    )
    assert changed(some) == line
    assert line in full_report(STUDY, some, range(3))


def test_origin():
    some = records()
    some[0]['environment'] = dict(commit='def5678', machine='GPU')
    assert origin(some) == (
        'Run by commits def5678 (1 run), abc1234 (5 runs) on GPU (1 run), CPU (5 runs).\n'
    )
    assert metric_table(STUDY, summarise(STUDY, some, 'mIoU')) in full_report(STUDY, some, range(3))
