"""The statistics of a study: means over seeds, paired differences, and what they support."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import bootstrap, spearmanr, t, ttest_1samp

from .plan import Study

LEVEL = 0.95
MOST_SEEDS = 1000  # nobody will run more
FEWEST_ROWS = 5  # the order of fewer says nothing
RESAMPLES = 2000
NUMBERS = (
    *('no', 'one', 'two', 'three', 'four', 'five', 'six'),
    *('seven', 'eight', 'nine', 'ten', 'eleven', 'twelve'),
)


@dataclass(frozen=True)
class Comparison:
    """A row against the baseline: paired differences over the seeds that both have.

    ``difference`` is their mean, ``deviation`` their standard deviation, ``low`` and ``high`` the
    ends of the 95 % interval of the mean, ``p`` the two-sided p-value of the paired t-test, and
    ``p_holm`` the same adjusted for all ``comparisons`` with the baseline. None where there are
    too few pairs.
    """

    pairs: int = 0
    difference: float | None = None
    deviation: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    comparisons: int = 1

    @property
    def excludes_zero(self) -> bool:
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    @property
    def decides(self) -> bool:
        """Whether the interval excludes 0 and, with several comparisons, p_holm is below 0.05."""
        return self.excludes_zero and (self.comparisons == 1 or (self.p_holm or 0) < 1 - LEVEL)


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


def summaries(study: Study, records: Sequence[dict]) -> dict[str, list[Summary]]:
    """Of each metric that all records hold, as the first orders them, :func:`summarise`."""
    held = [m for m in records[0]['metrics'] if all(m in r['metrics'] for r in records)]
    return {metric: summarise(study, records, metric) for metric in held}


def summarise(study: Study, records: Iterable[dict], metric: str) -> list[Summary]:
    """The figures of each row of a study for one metric, in the study's order.

    Rows without runs are left out, but count as comparisons.
    """
    values: dict[str, dict[int, float]] = {name: {} for name in study.rows}
    for record in records:
        if record['row'] in values:
            values[record['row']][record['seed']] = record['metrics'][metric]
    base = values[study.baseline]
    paired = {
        name: compare([own[seed] - base[seed] for seed in own if seed in base])
        for name, own in values.items()
        if name != study.baseline
    }
    # Comparisons that are not measured yet count as well.
    adjusted = holm([1.0 if one.p is None else one.p for one in paired.values()])
    for (name, one), p in zip(paired.items(), adjusted, strict=True):
        p_holm = None if one.p is None else p
        paired[name] = replace(one, p_holm=p_holm, comparisons=len(paired))
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


def compare(differences: Sequence[float]) -> Comparison:
    """Mean, Student's interval and p-value of paired differences.

    Pairs are used because the effect of a seed that row and baseline share cancels.
    """
    n = len(differences)
    if n < 2:
        return Comparison(n, differences[0] if differences else None)
    mean, deviation = statistics.fmean(differences), statistics.stdev(differences)
    if not deviation:  # the limit, which SciPy does not take
        return Comparison(n, mean, 0.0, mean, mean, 0.0 if mean else 1.0)
    test = ttest_1samp(differences, 0)
    low, high = map(float, test.confidence_interval(LEVEL))
    return Comparison(n, mean, deviation, low, high, float(test.pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979), in the same order.

    The k-th smallest of m is multiplied by m - k + 1; none is below a smaller one, or above 1.
    """
    p, order = np.array(p_values), np.argsort(p_values)
    grown = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    p[order] = np.minimum(1, grown)
    return p.tolist()


def verdict(comparison: Comparison) -> str:
    """What a comparison supports, such as ``'+1.9 (+0.6 to +3.2), ten seeds: better'``."""
    if comparison.difference is None:
        return 'not decided; no seed is shared with the baseline'
    if comparison.low is None:
        return f'{comparison.difference:+.1f}, one seed: not decided; one seed has no interval'
    if comparison.decides:
        decision = 'better' if comparison.difference > 0 else 'worse'
    elif comparison.excludes_zero:
        decision = (
            'not decided; the interval excludes 0, but adjusted for '
            f'{in_words(comparison.comparisons)} comparisons p is {comparison.p_holm:.2f}'
        )
    else:
        needed = seeds_needed(comparison.difference, comparison.deviation or 0.0)
        number = f'more than {MOST_SEEDS:,}' if needed is None else f'about {needed}'
        decision = (
            f'not decided; deciding it would take {number} seeds at this difference and spread'
        )
    interval = f'{comparison.difference:+.1f} ({comparison.low:+.1f} to {comparison.high:+.1f})'
    return f'{interval}, {in_words(comparison.pairs)} seeds: {decision}'


def seeds_needed(difference: float, deviation: float) -> int | None:
    """The least number of pairs, up to ``MOST_SEEDS``, whose interval would exclude 0."""
    n = np.arange(2, MOST_SEEDS + 1)
    half = t.ppf((1 + LEVEL) / 2, n - 1) * deviation / np.sqrt(n)
    return next(map(int, n[half < abs(difference)]), None)


def in_words(number: int) -> str:
    """A number as it is written in running text: in words up to twelve."""
    return NUMBERS[number] if 0 <= number < len(NUMBERS) else str(number)


def rank_sentence(reported: Sequence[float], measured: Sequence[float]) -> str:
    """Spearman's correlation of measured and reported differences, with its bootstrap interval.

    Resamples in which one side is constant have no correlation and do not count; the random numbers
    are seeded. The sentence is empty for fewer than ``FEWEST_ROWS`` rows or a constant side.
    """
    coefficient = _spearman(reported, measured)
    if len(reported) < FEWEST_ROWS or math.isnan(coefficient):
        return ''
    settings = dict(paired=True, vectorized=False, n_resamples=RESAMPLES, method='percentile')
    seeded = np.random.RandomState(0)
    resampled = bootstrap((reported, measured), _spearman, **settings, random_state=seeded)
    low, high = np.nanquantile(resampled.bootstrap_distribution, [0.025, 0.975])
    decision = 'not decided' if low <= 0 <= high else 'above 0' if low > 0 else 'below 0'
    return (
        f'rank correlation with the reported differences (Spearman, 95 % by bootstrap over rows): '
        f'{coefficient:+.2f} ({low:+.2f} to {high:+.2f}), {len(reported)} rows: {decision}'
    )


def _spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """NaN if one side is constant."""
    constant = min(len(set(x)), len(set(y))) < 2
    return float('nan') if constant else float(spearmanr(x, y).statistic)
