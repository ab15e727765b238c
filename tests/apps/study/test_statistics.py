"""Figures and sentences of a study, by hand and by independent means."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr, t, ttest_rel

from mmseg_pacbal.apps.study.plan import Row, Study
from mmseg_pacbal.apps.study.statistics import (
    MOST_SEEDS,
    Comparison,
    compare,
    holm,
    in_words,
    rank_sentence,
    seeds_needed,
    summarise,
    verdict,
)

BASE, OURS = [40.0, 41.0, 45.0], [41.0, 43.0, 45.5]
REPORTED = [-0.35, -0.12, 0.15, 0.32, 0.58, 0.68, -0.82]
MEASURED = [0.3, -1.0, 0.4, 0.1, 1.2, 0.2, -0.4]


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
    assert (holm([0.03]), holm([])) == ([0.03], [])


def test_rows_that_have_not_run_count_as_comparisons():
    values = dict(base=[0.0, 0.0, 0.0], a=[1.0, 2.0, 3.0], one=[2.0], none=[])
    study = Study('mine', 'data', 'base', {name: Row(name, 'a.py') for name in values})
    records = [
        dict(row=name, seed=seed, metrics=dict(mIoU=value))
        for name, own in values.items()
        for seed, value in enumerate(own)
    ]
    base, a, one = summarise(study, records, 'mIoU')
    assert (base.paired, a.paired.comparisons, one.paired.comparisons) == (Comparison(), 3, 3)
    assert a.paired.p_holm == pytest.approx(3 * compare([1.0, 2.0, 3.0]).p)
    assert one.paired.p_holm is None


@pytest.mark.parametrize(('difference', 'spread'), [(1.1, 2.0), (-0.4, 1.3), (5.0, 1.0), (0.3, 0)])
def test_seeds_needed_is_the_least_that_suffices(difference, spread):
    n = seeds_needed(difference, spread)

    def half(pairs: int) -> float:
        return t.ppf(0.975, pairs - 1) * spread / math.sqrt(pairs)

    assert half(n) < abs(difference)
    assert n == 2 or half(n - 1) >= abs(difference)


def test_seeds_needed_by_hand():
    # t(15) * 2 / 4 = 1.0657 and t(14) * 2 / sqrt(15) = 1.1076 on either side of 1.1.
    assert (seeds_needed(1.1, 2.0), seeds_needed(0.0, 1.0)) == (16, None)
    # 1.9623 * s / sqrt(1000) on either side of 1.
    assert (seeds_needed(1.0, 16.11), seeds_needed(1.0, 16.2)) == (MOST_SEEDS, None)


@pytest.mark.parametrize(
    ('found', 'sentence'),
    [
        (
            Comparison(10, 1.9, 1.8, 0.6, 3.2, 0.009, 0.02, 3),
            '+1.9 (+0.6 to +3.2), ten seeds: better',
        ),
        (
            Comparison(10, -1.9, 1.8, -3.2, -0.6, 0.009, 0.02, 3),
            '-1.9 (-3.2 to -0.6), ten seeds: worse',
        ),
        (
            Comparison(13, 1.0, 1.6, 0.03, 1.97, 0.044, 0.044, 1),
            '+1.0 (+0.0 to +2.0), 13 seeds: better',
        ),
        (
            Comparison(13, 1.0, 1.6, 0.03, 1.97, 0.044, 0.088, 2),
            '+1.0 (+0.0 to +2.0), 13 seeds: not decided; the interval excludes 0, but adjusted '
            'for two comparisons p is 0.09',
        ),
        (
            compare([-1.0, 1.1, 2.4, -0.5, 1.6]),
            '+0.7 (-1.1 to +2.5), five seeds: not decided; deciding it would take about '
            '18 seeds at this difference and spread',
        ),
        (
            compare([1.0, -1.0]),
            '+0.0 (-12.7 to +12.7), two seeds: not decided; deciding it would take more than 1,000 '
            'seeds at this difference and spread',
        ),
        (compare([1.25]), '+1.2, one seed: not decided; one seed has no interval'),
        (compare([]), 'not decided; no seed is shared with the baseline'),
    ],
)
def test_sentences(found, sentence):
    assert verdict(found) == sentence


def test_numbers():
    assert [in_words(n) for n in (2, 10, 12, 13)] == ['two', 'ten', 'twelve', '13']


def rank(reported: list[float], measured: list[float]) -> tuple[float, ...]:
    """The coefficient and its interval in a sentence."""
    words = rank_sentence(reported, measured).partition('over rows): ')[2].split()
    return tuple(float(words[i].strip('(),')) for i in (0, 1, 3))


def test_rank_correlation_by_hand():
    # Ranks 1..6 against 2, 1, 4, 3, 6, 5: 1 - 6 * 6 / (6 * 35).
    coefficient, *_ = rank([1, 2, 3, 4, 5, 6], [20, 10, 40, 30, 60, 50])
    assert coefficient == round(1 - 36 / 210, 2)
    for sign, said in ((1, 'above 0'), (-1, 'below 0')):
        measured = [sign * (3 * value + 1) for value in REPORTED]
        assert rank_sentence(REPORTED, measured) == (
            'rank correlation with the reported differences (Spearman, 95 % by bootstrap over '
            f'rows): {sign:+.2f} ({sign:+.2f} to {sign:+.2f}), 7 rows: {said}'
        )


def test_interval_is_that_of_an_independent_bootstrap():
    generator = np.random.default_rng(1)
    resampled = []
    while len(resampled) < 2000:
        rows = generator.integers(0, 7, 7)
        if len(set(rows)) > 1:
            resampled.append(spearmanr(np.take(REPORTED, rows), np.take(MEASURED, rows)).statistic)
    expected = np.quantile(resampled, [0.025, 0.975])
    np.testing.assert_allclose(rank(REPORTED, MEASURED)[1:], expected, atol=0.075)
    assert rank_sentence(REPORTED, MEASURED).endswith('7 rows: not decided')
    assert rank_sentence(REPORTED, MEASURED) == rank_sentence(REPORTED, MEASURED)


@pytest.mark.parametrize(
    ('reported', 'measured'), [([1, 2, 3, 4], [1, 2, 3, 4]), ([1] * 5, [1, 2, 3, 4, 5])]
)
def test_too_few_rows_or_no_order_have_no_sentence(reported, measured):
    assert rank_sentence(reported, measured) == ''
