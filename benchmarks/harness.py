"""What all benchmarks share: command line, timing, memory, labels and records.

benchmarks/README.md is the contract. A subject is a module with ``measure(args)``, which gives
results, and ``table(record)``, which makes a Markdown table of a record of them.
"""

import argparse
import csv
import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mmseg_pacbal.apps.provenance import provenance
from mmseg_pacbal.markdown import to_markdown

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / 'benchmarks' / 'results'
MACHINE = 'intel-xeon-processor'  # whose figures the pages show
Run = Callable[[], object]


def main(
    file: str,
    description: str,
    measure: Callable[[argparse.Namespace], list | dict],
    *tables: Callable[[dict], str],
    **defaults: int | str,
) -> None:
    """The command line of a subject: measure, write the record, print its tables.

    Args:
        file: Of the subject; its stem is the name of the benchmark.
        description: The subject's docstring.
        measure: What gives the results.
        tables: Each makes Markdown of the record.
        defaults: Of the options, and of options that only this subject has.
    """
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    p = argparse.ArgumentParser(description=description.partition('\n')[0])
    for name, default in (dict(repeats=15, threads=2, device=device, out='') | defaults).items():
        p.add_argument(f'--{name}', type=type(default), default=default, help=HELP[name])
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    start = environment(args)
    record = dict(benchmark=Path(file).stem, environment=start, results=measure(args))
    path = Path(args.out or RESULTS / file_name(record))
    path.parent.mkdir(parents=True, exist_ok=True)
    write(record, path)
    print(*(table(record) for table in tables), f'written to {path}', sep='\n\n')


HELP = dict(
    repeats='timed calls of each candidate',
    threads='CPU threads',
    device='cpu or a CUDA device',
    out='file to write; default: in benchmarks/results/',
    crop='pixels a side of an image',
    batch='images',
    sizes='height and width of the features, such as 33,65',
    batches='numbers of images, such as 1,2',
    options='of tools/demo.py, in quotes',
)


# Measuring


def measure_times(candidates: dict[str, Run], repeats: int, device: str = 'cpu') -> dict[str, dict]:
    """Seconds of each candidate: p20, p50 and p80 over ``repeats`` calls.

    Candidates take turns call by call, so that a machine that slows down or has other work
    slows all of them alike; two calls of each come first, untimed. The clock is :func:`clock`'s.
    """
    now = getattr(time, clock(device))
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for round_ in range(repeats + 2):
        for name, run in candidates.items():
            _synchronize(device)
            start = now()
            run()
            _synchronize(device)
            if round_ >= 2:
                seconds[name].append(now() - start)
    return {name: _quantiles(values) for name, values in seconds.items()}


def clock(device: str) -> str:
    """CPU time for one thread on a CPU, since other work on the machine hardly changes it."""
    return 'process_time' if device == 'cpu' and torch.get_num_threads() == 1 else 'perf_counter'


def measure_both(candidates: dict[str, Run], args: argparse.Namespace) -> dict[str, dict]:
    """Seconds and peak memory of each candidate."""
    times = measure_times(candidates, args.repeats, args.device)
    memory = {name: peak_memory(run, args.device) for name, run in candidates.items()}
    return dict(times=times, memory=memory)


def peak_memory(run: Run, device: str = 'cpu') -> int:
    """Most bytes of tensors that ``run`` holds at once, beyond what was there before it."""
    run()
    if device != 'cpu':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        run()
    held = peak = 0
    events = profile.profiler.kineto_results.events()
    for event in sorted(events, key=lambda e: e.start_ns()):
        if event.name() == '[memory]':
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Norm of the difference over that of what is expected."""
    actual, expected = actual.double(), expected.double()
    return ((actual - expected).norm() / expected.norm()).item()


def blocks(classes: int, shape: tuple[int, int, int], side: int = 16, void: float = 0) -> Tensor:
    """Labels (N, H, W): squares of a random class each, of which a share is void."""
    generator = torch.Generator().manual_seed(0)
    n, height, width = shape
    label = torch.randint(classes, (n, -(-height // side), -(-width // side)), generator=generator)
    label[torch.rand(label.shape, generator=generator) < void] = 255
    label = label.repeat_interleave(side, 1).repeat_interleave(side, 2)
    return label[:, :height, :width].contiguous()


def _quantiles(values: list[float]) -> dict[str, float]:
    q = torch.tensor(values, dtype=torch.float64).quantile(
        torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)
    )
    return dict(p20=q[0].item(), p50=q[1].item(), p80=q[2].item())


def _synchronize(device: str) -> None:
    if device != 'cpu':
        torch.cuda.synchronize()


# Records


def environment(args: argparse.Namespace) -> dict:
    """Machine, versions and commit, and how busy the machine was in the minute before."""
    record = provenance(args.device)
    if args.device == 'cpu':
        record['machine'] += f' x{args.threads}'
    busy = dict(clock=clock(args.device), load=round(os.getloadavg()[0], 1))
    return dict(record, threads=args.threads, repeats=args.repeats, **busy)


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
    """The committed record of a benchmark on a machine."""
    (path,) = RESULTS.glob(f'{name}-{machine}-x*')
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


# What tables and summaries are made of


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
