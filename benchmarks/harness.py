"""What all benchmarks share: command line, timing, memory and inputs.

benchmarks/README.md is the contract. A subject is a module with ``measure(args)``, which gives
results, and ``table(record)``, which makes a Markdown table of a record of them.
"""

import argparse
import itertools
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.records import RESULTS, file_name
from mmseg_pacbal.apps.provenance import provenance

T = TypeVar('T')
Run = Callable[[], object]
Loss = Callable[[Tensor, Tensor], Tensor]  # (N, C, h, w), (N, H, W) -> a number
FRESH = 4  # inputs of a candidate, so that no call meets what the one before it left in a cache
HELP = dict(
    repeats='timed calls of each candidate',
    threads='CPU threads',
    device='cpu or a CUDA device',
    out='file to write; default: in benchmarks/results/',
    crop='pixels a side of an image',
    batch='images',
    sizes='height and width of the features, such as 33,65',
    batches='numbers of images, such as 1,2',
    checkout='folder of another build; default: this one, timed beside itself',
    runtimes='such as onnxruntime,openvino; default: those installed',
    models='such as CONFIG=CHECKPOINT,CONFIG',
    data='folder of CamVid',
)


def main(
    file: str,
    description: str,
    measure: Callable[[argparse.Namespace], list | dict],
    table: Callable[[dict], str],
    **defaults: int | str,
) -> None:
    """The command line of a subject: measure, write the record, print its table.

    Args:
        file: Of the subject; its stem is the name of the benchmark.
        description: The subject's docstring.
        measure: What gives the results.
        table: Makes Markdown of the record.
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
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + '\n')
    print(f'{table(record)}\n\nwritten to {path}')


def environment(args: argparse.Namespace) -> dict:
    """Machine, versions and commit, and how busy the machine was in the minute before."""
    record = provenance(args.device)
    if args.device == 'cpu':
        record['machine'] += f' x{args.threads}'
    busy = dict(clock=clock(args.device), load=round(os.getloadavg()[0], 1))
    return dict(record, threads=args.threads, repeats=args.repeats, **busy)


class InTurn:
    """Each call passes the next of ``inputs`` to ``function``, and after the last the first."""

    def __init__(self, function: Callable[[Any], object], inputs: Sequence) -> None:
        self.function, self.inputs = function, inputs
        self._turns = itertools.cycle(inputs)

    def __call__(self) -> Any:
        return self.function(next(self._turns))


def fresh(make: Callable[[torch.Generator], T]) -> list[T]:
    """``FRESH`` inputs that differ, each made by random numbers of its own."""
    return [make(torch.Generator().manual_seed(seed)) for seed in range(FRESH)]


def blocks(
    generator: torch.Generator,
    classes: int,
    shape: tuple[int, int, int],
    side: int = 16,
    void: float = 0,
) -> Tensor:
    """Labels (N, H, W): squares of a random class each, of which a share is void."""
    n, height, width = shape
    label = torch.randint(classes, (n, -(-height // side), -(-width // side)), generator=generator)
    label[torch.rand(label.shape, generator=generator) < void] = 255
    label = label.repeat_interleave(side, 1).repeat_interleave(side, 2)
    return label[:, :height, :width].contiguous()


def labels(classes: int, shape: tuple[int, int, int], device: str = 'cpu', **how: Any) -> list:
    """Labels of :func:`blocks`, to be passed in turn."""
    return fresh(lambda generator: blocks(generator, classes, shape, **how).to(device))


def enlarged(loss: Loss) -> Loss:
    """The loss of logits enlarged to the size of the label, as MMSegmentation's heads do it."""
    return lambda logits, label: loss(
        F.interpolate(logits, label.shape[1:], mode='bilinear', align_corners=False), label
    )


def gradient(loss: Loss) -> Callable[[tuple[Tensor, Tensor]], Tensor]:
    """What computes the loss of logits and label, and its gradient."""
    return lambda pair: torch.autograd.grad(loss(*pair), pair[0])[0]


def measure_times(
    candidates: dict[str, Run], repeats: int, device: str = 'cpu', untimed: int = 2
) -> dict[str, dict]:
    """Seconds of each candidate: p20, p50 and p80 over ``repeats`` calls.

    Candidates take turns call by call, so that a machine that slows down or has other work
    slows all of them alike; ``untimed`` calls of each come first. The clock is :func:`clock`'s.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(repeats + untimed):
        for name, run in candidates.items():
            taken = seconds_of(run, device)
            if turn >= untimed:
                seconds[name].append(taken)
    return {name: quantiles(values) for name, values in seconds.items()}


def seconds_of(run: Run, device: str = 'cpu') -> float:
    now = getattr(time, clock(device))
    synchronize(device)
    start = now()
    run()
    synchronize(device)
    return now() - start


def clock(device: str) -> str:
    """CPU time for one thread on a CPU, since other work on the machine hardly changes it."""
    return 'process_time' if device == 'cpu' and torch.get_num_threads() == 1 else 'perf_counter'


def synchronize(device: str) -> None:
    if device != 'cpu':
        torch.cuda.synchronize()


def quantiles(values: list[float], percent: tuple[int, ...] = (20, 50, 80)) -> dict[str, float]:
    """Such as ``{'p20': ..., 'p50': ..., 'p80': ...}``."""
    return {f'p{share}': float(np.percentile(values, share)) for share in percent}


def measure_both(candidates: dict[str, Run], args: argparse.Namespace) -> dict[str, dict]:
    """Seconds and peak memory of each candidate."""
    times = measure_times(candidates, args.repeats, args.device)
    memory = {name: peak_memory(run, args.device) for name, run in candidates.items()}
    return dict(times=times, memory=memory)


def peak_memory(run: Run, device: str = 'cpu', warm: bool = False) -> int:
    """Most bytes of tensors that ``run`` holds at once, beyond what was there before it.

    It is called once before, unless it is ``warm``.
    """
    if not warm:
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


def agree(what: str, actual: Tensor, expected: Tensor, most: float = 1e-5) -> float:
    """Norm of the difference over that of what is expected; ValueError unless at most ``most``."""
    actual, expected = actual.double(), expected.double()
    error = ((actual - expected).norm() / expected.norm()).item()
    if not error <= most:
        raise ValueError(f'{what} differ by {error:.1e}, more than {most}')
    return error
