"""The statement that a comparison supports."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy.stats import t, ttest_1samp

LEVEL = 0.95
MOST_SEEDS = 1000  # nobody will run more
_NUMBERS = (
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


def adjust(found: Sequence[Comparison]) -> list[Comparison]:
    """Comparisons with one baseline, with their number and their p-values adjusted for it."""
    adjusted = holm([c.p for c in found])
    return [
        replace(c, p_holm=p, comparisons=len(found)) for c, p in zip(found, adjusted, strict=True)
    ]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values adjusted for their number (Holm 1979), in the same order.

    The k-th smallest of m is multiplied by m - k + 1; none is below a smaller one, or above 1.

    Args:
        p_values: None for comparisons that are not measured yet: they count as 1.
    """
    m, least = len(p_values), 0.0
    adjusted: list[float | None] = [None] * m
    for k, index in enumerate(sorted(range(m), key=lambda i: _or_one(p_values[i]))):
        least = min(1.0, max(least, (m - k) * _or_one(p_values[index])))
        adjusted[index] = None if p_values[index] is None else least
    return adjusted


def seeds_needed(difference: float, deviation: float) -> int | None:
    """The least number of pairs whose interval excludes 0 at this difference and deviation.

    Returns:
        2 or more; None if ``MOST_SEEDS`` would not be enough.
    """
    for n in range(2, MOST_SEEDS + 1):
        if t.ppf((1 + LEVEL) / 2, n - 1) * deviation / math.sqrt(n) < abs(difference):
            return n
    return None


def verdict(found: Comparison) -> str:
    """What a comparison supports, in words: better, worse or not decided.

    It is better or worse if the interval excludes 0 and, with several comparisons, the adjusted
    p-value is below 0.05. A larger value counts as better.

    Returns:
        Such as ``'+1.9 (+0.6 to +3.2), ten seeds: better'``.
    """
    if found.difference is None:
        return 'not decided; no seed is shared with the baseline'
    if found.low is None:
        return f'{found.difference:+.1f}, one seed: not decided; one seed has no interval'
    interval = f'{found.difference:+.1f} ({found.low:+.1f} to {found.high:+.1f})'
    return f'{interval}, {in_words(found.pairs)} seeds: {_decision(found)}'


def decides(found: Comparison) -> bool:
    """Whether the interval excludes 0 and, with several comparisons, p_holm is below 0.05."""
    return excludes_zero(found) and (found.comparisons == 1 or _or_one(found.p_holm) < 1 - LEVEL)


def excludes_zero(found: Comparison) -> bool:
    return found.low is not None and found.high is not None and not found.low <= 0 <= found.high


def in_words(number: int) -> str:
    """A number as it is written in running text: in words up to twelve."""
    return _NUMBERS[number] if 0 <= number < len(_NUMBERS) else str(number)


def _decision(found: Comparison) -> str:
    if decides(found):
        return 'better' if (found.difference or 0) > 0 else 'worse'
    if excludes_zero(found):
        return (
            'not decided; the interval excludes 0, but adjusted for '
            f'{in_words(found.comparisons)} comparisons p is {_or_one(found.p_holm):.2f}'
        )
    needed = seeds_needed(found.difference or 0.0, found.deviation or 0.0)
    number = f'more than {MOST_SEEDS:,}' if needed is None else f'about {needed}'
    return f'not decided; deciding it would take {number} seeds at this difference and spread'


def _or_one(p: float | None) -> float:
    return 1.0 if p is None else p
