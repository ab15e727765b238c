import csv
import io

import pytest
from scipy.stats import ttest_rel

from mmseg_pacbal.apps.study import Study, markdown, metrics_of, study_figure, summarise, to_csv
from mmseg_pacbal.apps.study.plan import Row
from mmseg_pacbal.apps.study.report import paired_interval

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
    return [dict(row=row, seed=seed, metrics=dict(mIoU=value)) for row, seed, value in rows]


def test_interval_is_that_of_the_paired_t_test():
    differences = [b - a for a, b in zip(BASE, OURS, strict=True)]
    expected = ttest_rel(OURS, BASE).confidence_interval(0.95)
    assert paired_interval(differences) == pytest.approx(tuple(expected))
    # By hand: mean 7/6, s = 0.76376, t(2) = 4.30265, half = 1.89730.
    assert paired_interval(differences) == pytest.approx((-0.73063, 3.06396), abs=1e-4)


def test_one_seed_has_no_interval():
    (base, ours) = summarise(STUDY, records([40.0], [41.0]), 'mIoU')
    assert paired_interval([1.0]) is None
    assert (ours.mean, ours.deviation, ours.difference, ours.low) == (41.0, None, 1.0, None)
    assert (base.difference, base.low) == (None, None)


def test_only_seeds_that_both_have_are_paired():
    (base, ours) = summarise(STUDY, records([40.0, 41.0, 45.0], [41.0, 43.0]), 'mIoU')
    assert (base.seeds, ours.seeds) == (3, 2)
    assert ours.difference == 1.5
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
    assert (rows[1]['mean'], rows[1]['difference']) == ('43.1667', '1.1667')
    assert (rows[0]['low'], rows[1]['reported_difference']) == ('', '0.5')


def test_plot_shows_the_differences():
    figure = study_figure(dict(mIoU=summarise(STUDY, records(), 'mIoU')), 'base')
    (panel,) = figure.axes
    assert panel.get_title() == 'mIoU'
    assert [text.get_text() for text in panel.get_yticklabels()] == ['ours']
    shown = [line.get_xdata()[0] for line in panel.lines if len(line.get_xdata())]
    assert pytest.approx(7 / 6) in shown  # measured
    assert 0.5 in shown  # reported
