"""Timing, memory and provenance for all benchmarks; benchmarks/README.md is the contract."""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mmseg_pacbal.apps.provenance import provenance

ROOT = Path(__file__).resolve().parent.parent
Run = Callable[[], object]


def parser(description: str) -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=description)
    p.add_argument('--repeats', type=int, default=15, help='timed calls of each candidate')
    p.add_argument('--threads', type=int, default=2, help='CPU threads')
    p.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    p.add_argument('--out', help='JSON file to write; default benchmarks/results/')
    return p


def measure_times(candidates: dict[str, Run], repeats: int, device: str = 'cpu') -> dict[str, dict]:
    """Seconds of each candidate: p20, p50 and p80 over ``repeats`` calls.

    Candidates take turns call by call, so that a machine that slows down or has other work
    slows all of them alike; two calls of each come first, untimed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for round_ in range(repeats + 2):
        for name, run in candidates.items():
            _synchronize(device)
            start = time.perf_counter()
            run()
            _synchronize(device)
            if round_ >= 2:
                seconds[name].append(time.perf_counter() - start)
    return {name: _quantiles(values) for name, values in seconds.items()}


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


def save(name: str, results: object, args: argparse.Namespace) -> Path:
    """Write results with everything that is needed to judge them."""
    record = dict(benchmark=name, environment=environment(args), results=results)
    machine = record['environment']['machine'].lower().replace(' ', '-')
    path = Path(args.out or ROOT / 'benchmarks' / 'results' / f'{name}-{machine}.json')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + '\n')
    print(f'\nwritten to {path}')
    return path


def environment(args: argparse.Namespace) -> dict:
    record = provenance(args.device)
    if args.device == 'cpu':
        record['machine'] += f' x{args.threads}'
    return dict(record, threads=args.threads, repeats=args.repeats)


def _quantiles(values: list[float]) -> dict[str, float]:
    q = torch.tensor(values, dtype=torch.float64).quantile(
        torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)
    )
    return dict(p20=q[0].item(), p50=q[1].item(), p80=q[2].item())


def _synchronize(device: str) -> None:
    if device != 'cpu':
        torch.cuda.synchronize()
