"""Records of benchmarks: written, read, and what every table of one needs."""

import csv
import functools
import json
from pathlib import Path

from mmseg_pacbal.markdown import to_markdown

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / 'benchmarks' / 'results'
MACHINE = 'intel-xeon-processor'  # whose figures the pages show


def file_name(record: dict) -> str:
    """A list of rows of figures and texts is a CSV file, everything else JSON."""
    rows = record['results']
    flat = isinstance(rows, list) and all(
        isinstance(cell, (int, float, str)) for row in rows for cell in row.values()
    )
    machine = record['environment']['machine'].lower().replace(' ', '-')
    return f'{record["benchmark"]}-{machine}.{"csv" if flat else "json"}'


def write(record: dict, path: Path) -> None:
    """Results with everything that is needed to judge them."""
    if path.suffix != '.csv':
        path.write_text(json.dumps(record, indent=1) + '\n')
        return
    rows = record['results']
    with path.open('w', newline='') as file:
        file.write(f'# {json.dumps({**record, "results": len(rows)})}\n')
        writer = csv.DictWriter(file, rows[0], quoting=csv.QUOTE_NONNUMERIC, lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


@functools.cache
def load(name: str, machine: str = MACHINE) -> dict:
    """The committed record of a benchmark on a machine, or on the only one that has run it."""
    (path,) = [*RESULTS.glob(f'{name}-{machine}-x*')] or RESULTS.glob(f'{name}-*-x*')
    return read(path)


def read(path: Path) -> dict:
    """A record, with its path from the root of the repository."""
    text = path.read_text()
    if path.suffix == '.csv':
        first, *lines = text.splitlines()
        rows = list(csv.DictReader(lines, quoting=csv.QUOTE_NONNUMERIC))
        record = dict(json.loads(first.removeprefix('# ')), results=rows)
    else:
        record = json.loads(text)
    return dict(record, path=path.relative_to(ROOT).as_posix())


def source(record: dict) -> str:
    """Where the medians of a table come from, to stand below it."""
    cpu_time = record['environment'].get('clock') == 'process_time'
    return f'\n\nMedians{" of CPU time" if cpu_time else ""}; {place(record)}'


def place(record: dict) -> str:
    """Machine, versions and commit of a record, in a line of Markdown."""
    found = record['environment']
    busy = f', load {found["load"]}' if 'load' in found else ''
    link = f' ([record](../{record["path"]}))' if 'path' in record else ''
    return (
        f'{found["machine"]}{busy}, torch {found["torch"]}, commit {found["commit"]}, '
        f'{found["date"]}{link}.'
    )


def median(times: dict) -> float:
    return times['p50']


def span(values: list[float], digits: int) -> str:
    """'least to most', or one number where both read the same."""
    ends = [f'{value:.{digits}f}' for value in (min(values), max(values))]
    return ends[0] if ends[0] == ends[1] else ' to '.join(ends)


def times_table(record: dict) -> str:
    """A row for each candidate of each group of the results."""
    rows = [
        [what, f'{1e3 * median(times):.1f} ms']
        for group in record['results'].values()
        if isinstance(group, dict)
        for what, times in group.items()
    ]
    return to_markdown(['what', 'time'], rows, left=1) + source(record)
