"""Whether the measured differences follow those that the paper reports."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap, spearmanr

FEWEST_ROWS = 5  # the order of fewer says nothing
RESAMPLES = 2000


class RankCorrelation(NamedTuple):
    """Spearman's coefficient over ``rows`` pairs, with the ends of its 95 % interval."""

    rows: int
    coefficient: float
    low: float
    high: float


def rank_correlation(reported: Sequence[float], measured: Sequence[float]) -> RankCorrelation:
    """Spearman's rank correlation, with its percentile interval by bootstrap over pairs.

    Resamples in which one side is constant have no correlation and do not count. The random numbers
    are seeded, so the result is reproducible.

    Raises:
        ValueError: There are fewer than ``FEWEST_ROWS`` pairs, or one side is constant.
    """
    rows = len(reported)
    if rows < FEWEST_ROWS or np.isnan(_spearman(reported, measured)):
        raise ValueError(
            f'a rank correlation needs {FEWEST_ROWS} or more rows whose values differ, but got '
            f'{list(reported)} and {list(measured)}'
        )
    settings = dict(paired=True, vectorized=False, n_resamples=RESAMPLES, method='percentile')
    seeded = np.random.RandomState(0)
    resampled = bootstrap((reported, measured), _spearman, **settings, random_state=seeded)
    low, high = np.nanquantile(resampled.bootstrap_distribution, [0.025, 0.975])
    return RankCorrelation(rows, _spearman(reported, measured), float(low), float(high))


def rank_sentence(found: RankCorrelation) -> str:
    """Such as ``'rank correlation with the reported differences: +0.62 (+0.10 to +0.88), 14 rows:
    above 0'``."""
    undecided = found.low <= 0 <= found.high
    sign = 'above 0' if found.low > 0 else 'below 0'
    return (
        f'rank correlation with the reported differences (Spearman, 95 % by bootstrap over rows): '
        f'{found.coefficient:+.2f} ({found.low:+.2f} to {found.high:+.2f}), {found.rows} rows: '
        f'{"not decided" if undecided else sign}'
    )


def _spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """NaN if one side is constant."""
    constant = min(len(set(x)), len(set(y))) < 2
    return float('nan') if constant else float(spearmanr(x, y).statistic)
