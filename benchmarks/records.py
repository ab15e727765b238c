"""Records of benchmarks: where they are, and what every table of one needs."""

import functools
import json
from pathlib import Path

from mmseg_pacbal.markdown import to_markdown

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / 'benchmarks' / 'results'


def file_name(record: dict) -> str:
    machine = record['environment']['machine'].lower().replace(' ', '-')
    return f'{record["benchmark"]}-{machine}.json'


def load(name: str) -> dict:
    """The latest record of a benchmark on a CPU."""
    return on_cpus(name)[0]


@functools.cache
def on_cpus(name: str) -> list[dict]:
    """The records of a benchmark on CPUs, the latest first."""
    records = [read(path) for path in sorted(RESULTS.glob(f'{name}-*-x*.json'))]
    return sorted(records, key=lambda record: record['environment']['date'], reverse=True)


def read(path: Path) -> dict:
    """A record, with its path from the root of the repository."""
    return dict(json.loads(path.read_text()), path=path.relative_to(ROOT).as_posix())


def source(record: dict) -> str:
    """Machine, versions and commit, to stand below a table."""
    environment = record['environment']
    cpu_time = ' of CPU time' if environment.get('clock') == 'process_time' else ''
    busy = f', load {environment["load"]}' if 'load' in environment else ''
    link = f' ([record](../{record["path"]}))' if 'path' in record else ''
    return (
        f'\n\nMedians{cpu_time}; {environment["machine"]}{busy}, torch {environment["torch"]}, '
        f'commit {environment["commit"]}, {environment["date"]}{link}.'
    )


def ms(times: dict, digits: int = 0) -> str:
    """The median in milliseconds."""
    return f'{1e3 * times["p50"]:.{digits}f} ms'


def spread(times: dict, digits: int) -> str:
    """p20, p50 and p80 in milliseconds."""
    return ', '.join(f'{1e3 * value:.{digits}f}' for value in times.values())


def ratios(times: dict, others: dict) -> list[str]:
    """Of p20, p50 and p80 to those of something else."""
    return [f'{times[p] / others[p]:.2f}' for p in ('p20', 'p50', 'p80')]


def source_of_spreads(record: dict) -> str:
    """What stands below a table of :func:`spread` in runtimes."""
    named = ', '.join(f'{name} {v}' for name, v in record['results']['versions'].items())
    return f'\n\np20, p50 and p80; {named}.{source(record)}'


def span(values: list[float], digits: int) -> str:
    """'least to most', or one number where both read the same."""
    ends = [f'{value:.{digits}f}' for value in (min(values), max(values))]
    return ends[0] if ends[0] == ends[1] else ' to '.join(ends)


def times_table(record: dict) -> str:
    """A row for each candidate of each group of the results."""
    rows = [
        [what, ms(times, 1)]
        for group in record['results'].values()
        if isinstance(group, dict)
        for what, times in group.items()
    ]
    return to_markdown(['what', 'time'], rows, left=1) + source(record)
