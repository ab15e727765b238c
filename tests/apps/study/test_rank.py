import numpy as np
import pytest
from scipy.stats import spearmanr

from mmseg_pacbal.apps.study import Study, full_report
from mmseg_pacbal.apps.study.plan import Row
from mmseg_pacbal.apps.study.rank import (
    RankCorrelation,
    rank_correlation,
    rank_sentence,
)

REPORTED = [-0.35, -0.12, 0.15, 0.32, 0.58, 0.68, -0.82]


def test_by_hand():
    # Ranks 1..6 against 2, 1, 4, 3, 6, 5: 1 - 6 * 6 / (6 * 35).
    found = rank_correlation([1, 2, 3, 4, 5, 6], [20, 10, 40, 30, 60, 50])
    assert found.coefficient == pytest.approx(1 - 36 / 210)
    assert found.rows == 6
    assert -1 <= found.low < found.coefficient < found.high <= 1


def test_interval_is_that_of_an_independent_bootstrap():
    measured = [0.3, -1.0, 0.4, 0.1, 1.2, 0.2, -0.4]
    found = rank_correlation(REPORTED, measured)
    generator = np.random.default_rng(1)
    resampled = []
    while len(resampled) < 4000:
        rows = generator.integers(0, 7, 7)
        if len(set(rows)) > 1:
            resampled.append(spearmanr(np.take(REPORTED, rows), np.take(measured, rows)).statistic)
    expected = np.quantile(resampled, [0.025, 0.975])
    np.testing.assert_allclose([found.low, found.high], expected, atol=0.06)
    assert found == rank_correlation(REPORTED, measured)  # the same resamples again


def test_order_and_its_reverse():
    same = rank_correlation(REPORTED, [3 * value + 1 for value in REPORTED])
    reverse = rank_correlation(REPORTED, [-value for value in REPORTED])
    assert (same.coefficient, same.low, same.high) == pytest.approx((1, 1, 1))
    assert (reverse.coefficient, reverse.low, reverse.high) == pytest.approx((-1, -1, -1))


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
def test_a_report_has_it_where_there_are_rows_enough(rows):
    names = [f'row{i}' for i in range(rows)]
    measured = [0.3, -1.0, 0.4, 0.1, 1.2, 0.2, -0.4][:rows]
    study = Study(
        'table2',
        'camvid_mini',
        'base',
        dict(base=Row('base', 'a.py'))
        | {n: Row(n, 'b.py', reported_difference=r) for n, r in zip(names, REPORTED, strict=False)},
    )
    scores = dict(base=40.0) | {n: 40 + m for n, m in zip(names, measured, strict=True)}
    here = dict(commit='a', machine='CPU')
    records = [
        dict(row=n, seed=0, metrics=dict(mIoU=v, mBF1=v), environment=here)
        for n, v in scores.items()
    ]
    text = full_report(study, records, [0])
    if rows == 4:
        assert 'rank correlation' not in text
    else:
        expected = spearmanr(REPORTED, measured).statistic
        assert text.count('rank correlation') == 1  # of mIoU alone, which is what is reported
        assert f'over rows): {expected:+.2f} (' in text
