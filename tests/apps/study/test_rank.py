import numpy as np
import pytest
from scipy.stats import spearmanr

from mmseg_pacbal.apps.study import Study
from mmseg_pacbal.apps.study.plan import Row
from mmseg_pacbal.apps.study.rank import RankCorrelation, rank_correlation, rank_sentence
from mmseg_pacbal.apps.study.report import full_report

REPORTED = [-0.35, -0.12, 0.15, 0.32, 0.58, 0.68, -0.82]
MEASURED = [0.3, -1.0, 0.4, 0.1, 1.2, 0.2, -0.4]


def test_by_hand():
    # Ranks 1..6 against 2, 1, 4, 3, 6, 5: 1 - 6 * 6 / (6 * 35).
    found = rank_correlation([1, 2, 3, 4, 5, 6], [20, 10, 40, 30, 60, 50])
    assert found.coefficient == pytest.approx(1 - 36 / 210)
    assert found.rows == 6
    for sign in (1, -1):
        same = rank_correlation(REPORTED, [sign * (3 * value + 1) for value in REPORTED])
        assert (same.coefficient, same.low, same.high) == pytest.approx((sign, sign, sign))


def test_interval_is_that_of_an_independent_bootstrap():
    found = rank_correlation(REPORTED, MEASURED)
    generator = np.random.default_rng(1)
    resampled = []
    while len(resampled) < 2000:
        rows = generator.integers(0, 7, 7)
        if len(set(rows)) > 1:
            resampled.append(spearmanr(np.take(REPORTED, rows), np.take(MEASURED, rows)).statistic)
    expected = np.quantile(resampled, [0.025, 0.975])
    np.testing.assert_allclose([found.low, found.high], expected, atol=0.07)
    assert found == rank_correlation(REPORTED, MEASURED)  # the same resamples again


@pytest.mark.parametrize(
    ('reported', 'measured'), [([1, 2, 3, 4], [1, 2, 3, 4]), ([1] * 5, [1, 2, 3, 4, 5])]
)
def test_too_few_rows_or_no_order(reported, measured):
    with pytest.raises(ValueError, match='needs 5 or more rows whose values differ, but got'):
        rank_correlation(reported, measured)


@pytest.mark.parametrize(
    ('low', 'high', 'decision'),
    [(0.1, 0.88, 'above 0'), (-0.2, 0.88, 'not decided'), (-0.9, -0.1, 'below 0')],
)
def test_sentence(low, high, decision):
    assert rank_sentence(RankCorrelation(14, 0.62, low, high)) == (
        'rank correlation with the reported differences (Spearman, 95 % by bootstrap over rows): '
        f'+0.62 ({low:+.2f} to {high:+.2f}), 14 rows: {decision}'
    )


@pytest.mark.parametrize('rows', [4, 7])
def test_a_report_has_it_where_there_are_enough_rows(rows):
    reported = dict(zip([f'row{i}' for i in range(rows)], REPORTED, strict=False))
    study = Study(
        'table2',
        'camvid_mini',
        'base',
        dict(base=Row('base', 'a.py'))
        | {name: Row(name, 'b.py', reported_difference=r) for name, r in reported.items()},
    )
    scores = dict(base=0.0) | dict(zip(reported, MEASURED, strict=False))
    here = dict(commit='a', machine='CPU')
    records = [
        dict(row=n, seed=0, metrics=dict(mIoU=v, mBF1=v), environment=here)
        for n, v in scores.items()
    ]
    text = full_report(study, records, [0])
    assert text.count('rank correlation') == (rows == 7)  # of mIoU alone, which is what is reported
    if rows == 7:
        assert f'over rows): {spearmanr(REPORTED, MEASURED).statistic:+.2f} (' in text
