"""The figures of a study: means over seeds, and differences to the baseline."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from .plan import Study
from .verdict import Comparison, adjust, compare


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


def metrics_of(records: Iterable[dict]) -> list[str]:
    """Names of the metrics that all records hold, as the first orders them."""
    records = list(records)
    return [m for m in records[0]['metrics'] if all(m in r['metrics'] for r in records)]


def summarise(study: Study, records: Iterable[dict], metric: str) -> list[Summary]:
    """The figures of each row of a study for one metric, in the study's order.

    Rows without runs are left out, but count as comparisons.
    """
    values: dict[str, dict[int, float]] = {name: {} for name in study.rows}
    for record in records:
        if record['row'] in values:
            values[record['row']][record['seed']] = record['metrics'][metric]
    base = values[study.baseline]
    pairs = {
        name: [own[seed] - base[seed] for seed in own if seed in base]
        for name, own in values.items()
        if name != study.baseline
    }
    found = adjust([compare(differences) for differences in pairs.values()])
    paired = dict(zip(pairs, found, strict=True))
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
