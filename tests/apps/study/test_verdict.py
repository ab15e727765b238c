import math

import pytest
from scipy.stats import t, ttest_rel

from mmseg_pacbal.apps.study.verdict import (
    MOST_SEEDS,
    Comparison,
    adjust,
    compare,
    holm,
    in_words,
    seeds_needed,
    verdict,
)

BASE, OURS = [40.0, 41.0, 45.0], [41.0, 43.0, 45.5]


def test_comparison_is_that_of_the_paired_t_test():
    found = compare([b - a for a, b in zip(BASE, OURS, strict=True)])
    expected = ttest_rel(OURS, BASE)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.p == pytest.approx(expected.pvalue)
    # By hand: mean 7/6, s = 0.76376, t(2) = 4.30265, half = 1.89730.
    assert (found.pairs, found.difference) == (3, pytest.approx(7 / 6))
    assert found.deviation == pytest.approx(0.763763, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((-0.73063, 3.06396), abs=1e-4)


def test_few_and_equal_differences():
    assert compare([]) == Comparison(0)
    assert compare([1.5]) == Comparison(1, 1.5)
    assert compare([1.5, 1.5]) == Comparison(2, 1.5, 0.0, 1.5, 1.5, 0.0)
    assert compare([0.0, 0.0]).p == 1.0


def test_holm():
    # 4 * 0.005, 3 * 0.01, 2 * 0.03, and 1 * 0.04, which may not fall below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_rows_that_have_not_run_count_as_comparisons():
    assert holm([None, 0.01, None]) == pytest.approx([None, 0.03, None])
    found = adjust([compare([1.0, 2.0, 3.0]), compare([]), compare([2.0])])
    assert [c.comparisons for c in found] == [3, 3, 3]
    assert found[0].p_holm == pytest.approx(3 * found[0].p)
    assert (found[1].p_holm, found[2].p_holm) == (None, None)


@pytest.mark.parametrize(('difference', 'spread'), [(1.1, 2.0), (-0.4, 1.3), (5.0, 1.0), (0.3, 0)])
def test_seeds_needed_is_the_least_that_suffices(difference, spread):
    n = seeds_needed(difference, spread)

    def half(pairs: int) -> float:
        return t.ppf(0.975, pairs - 1) * spread / math.sqrt(pairs)

    assert half(n) < abs(difference)
    assert n == 2 or half(n - 1) >= abs(difference)


def test_seeds_needed_by_hand():
    # t(15) * 2 / 4 = 1.0657 and t(14) * 2 / sqrt(15) = 1.1076 on either side of 1.1.
    assert seeds_needed(1.1, 2.0) == 16
    assert seeds_needed(0.0, 1.0) is None
    # 1.9623 * s / sqrt(1000) on either side of 1.
    assert seeds_needed(1.0, 16.11) == MOST_SEEDS
    assert seeds_needed(1.0, 16.2) is None


def test_sentences():
    better = Comparison(10, 1.9, 1.8, 0.6, 3.2, 0.009, 0.02, 3)
    assert verdict(better) == '+1.9 (+0.6 to +3.2), ten seeds: better'
    worse = Comparison(10, -1.9, 1.8, -3.2, -0.6, 0.009, 0.02, 3)
    assert verdict(worse) == '-1.9 (-3.2 to -0.6), ten seeds: worse'
    assert verdict(compare([-1.0, 1.1, 2.4, -0.5, 1.6])) == (
        '+0.7 (-1.1 to +2.5), five seeds: not decided; deciding it would take about '
        '18 seeds at this difference and spread'
    )
    assert verdict(compare([1.0, -1.0])).endswith(
        'take more than 1,000 seeds at this difference and spread'
    )
    assert verdict(compare([1.25])) == '+1.2, one seed: not decided; one seed has no interval'
    assert verdict(compare([])) == 'not decided; no seed is shared with the baseline'


def test_several_comparisons_are_harder_to_pass():
    alone = Comparison(13, 1.0, 1.6, 0.03, 1.97, 0.044, 0.044, 1)
    assert verdict(alone) == '+1.0 (+0.0 to +2.0), 13 seeds: better'
    among = Comparison(13, 1.0, 1.6, 0.03, 1.97, 0.044, 0.088, 2)
    assert verdict(among) == (
        '+1.0 (+0.0 to +2.0), 13 seeds: not decided; the interval excludes 0, but adjusted for '
        'two comparisons p is 0.09'
    )


def test_numbers():
    assert [in_words(n) for n in (2, 10, 12, 13)] == ['two', 'ten', 'twelve', '13']
