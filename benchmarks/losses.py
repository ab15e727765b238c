"""What losses of well-known packages cost beside ours: time and memory of loss and gradient.

python -m benchmarks.losses    batch 4, 512x512, 2, 21 and 150 classes; peers that are installed
"""

import argparse
import time
from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import Run, blocks, clock, main, measure_times, peak_memory, relative_error
from benchmarks.loss_peers import (
    BAL,
    CROSS_ENTROPY,
    LEAN_BAL,
    LEAN_CROSS_ENTROPY,
    Loss,
    losses,
)
from benchmarks.records import source
from mmseg_pacbal.markdown import to_markdown

BATCH, SIZE, LOGITS = 4, 512, 64  # images, the side of their labels, and that of the logits
CLASSES = (2, 21, 150)
# A loss of which a call takes more than so many seconds is timed so many times only, and once
# means that its first call counts. One that would need more memory is left out.
FEWER_CALLS = ((10.0, 1), (1.0, 3))
MOST_MEBIBYTES = 7000


def measure(args: argparse.Namespace) -> list[dict]:
    found: list[dict] = []
    for classes in CLASSES:
        large = {
            r['loss'] for r in found if r['mebibytes'] / r['classes'] * classes > MOST_MEBIBYTES
        }
        for name in sorted(large):
            print(f'{name} is left out: too much memory at {classes} classes')
        found += rows(classes, args, large)
    return found


def rows(classes: int, args: argparse.Namespace, left_out: Collection[str] = ()) -> list[dict]:
    """Figures of every loss that is installed.

    Raises:
        ValueError: A lean loss is not what it replaces, or a gradient is not finite.
    """
    logits, label = inputs(classes, args.device)
    found = losses(classes, args.device)
    runs = {
        name: gradient_of(loss, logits, label)
        for name, (_, loss) in found.items()
        if name not in left_out
    }
    for lean, plain in ((LEAN_CROSS_ENTROPY, CROSS_ENTROPY), (LEAN_BAL, BAL)):
        error = relative_error(runs[lean](), runs[plain]())
        if not error <= 1e-5:
            raise ValueError(f'the gradient of {lean} differs by {error}')
    first = {name: first_call(name, run, args.device) for name, run in runs.items()}
    calls = {name: number_of_calls(seconds, args.repeats) for name, seconds in first.items()}
    times = {name: dict.fromkeys(('p20', 'p50', 'p80'), t) for name, t in first.items()}
    for number in set(calls.values()) - {1}:
        alike = {name: run for name, run in runs.items() if calls[name] == number}
        untimed = 2 if number == args.repeats else 0
        times |= measure_times(alike, number, args.device, untimed)
    return [
        dict(classes=classes, loss=name, package=found[name][0], calls=calls[name])
        | dict(times[name], mebibytes=peak_memory(run, args.device, warm=True) / 2**20)
        for name, run in runs.items()
    ]


def first_call(name: str, run: Run, device: str) -> float:
    """Seconds of a call, whose gradient is looked at."""
    now = getattr(time, clock(device))
    start = now()
    if not bool(run().isfinite().all()):
        raise ValueError(f'the gradient of {name} is not finite')
    print(f'{name}: {now() - start:.2f} s', flush=True)
    return now() - start


def number_of_calls(seconds: float, repeats: int) -> int:
    return next((min(n, repeats) for limit, n in FEWER_CALLS if seconds > limit), repeats)


def inputs(classes: int, device: str) -> tuple[Tensor, Tensor]:
    """Logits (N, C, h, w) that are right at most pixels, as in training, and labels (N, H, W)."""
    label = blocks(classes, (BATCH, SIZE, SIZE), side=32)
    stride = SIZE // LOGITS
    right = F.one_hot(label[:, ::stride, ::stride], classes).permute(0, 3, 1, 2)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(BATCH, classes, LOGITS, LOGITS, generator=generator) + 8 * right
    return logits.to(device).requires_grad_(), label.to(device)


def gradient_of(loss: Loss, logits: Tensor, label: Tensor) -> Run:
    def run() -> Tensor:
        return torch.autograd.grad(loss(logits, label), logits)[0]

    return run


def table(record: dict) -> str:
    """Time, memory, and the time in cross entropies, for each number of classes."""
    cells = {(row['loss'], row['classes']): row for row in record['results']}
    numbers = sorted({classes for _, classes in cells})
    lines = [
        [name, package, *(text for n in numbers for text in _cell(cells, name, n))]
        for name, package in dict.fromkeys((r['loss'], r['package']) for r in record['results'])
    ]
    head = [text for n in numbers for text in (f'{n:.0f} classes', 'of CE', 'memory')]
    return to_markdown(['loss', 'package', *head], lines, left=2) + source(record)


def _cell(cells: dict, name: str, classes: int) -> tuple[str, str, str]:
    row, unit = cells.get((name, classes)), cells[CROSS_ENTROPY, classes]
    if row is None:
        return ('', '', '')
    times = row['p50'] / unit['p50']
    return f'{1e3 * row["p50"]:.0f} ms', f'{times:.2f}', f'{row["mebibytes"]:.0f} MiB'


def summary(record: dict) -> dict[str, str]:
    cells = {(row['loss'], row['classes']): row['p50'] for row in record['results']}
    numbers = sorted({classes for _, classes in cells})
    ours = {BAL, LEAN_BAL, CROSS_ENTROPY, LEAN_CROSS_ENTROPY}

    def of(name: str) -> list[float]:
        return [cells[name, n] / cells[CROSS_ENTROPY, n] for n in numbers if (name, n) in cells]

    others = [of(name) for name in dict.fromkeys(name for name, _ in cells) if name not in ours]
    ends = [min(map(min, others)), max(map(max, others))]
    listed = {name: ' / '.join(f'{times:.2f}' for times in of(name)) for name in ours}
    counts = ' / '.join(f'{n:.0f}' for n in numbers)
    return {
        f'loss and gradient against cross entropy, {counts} classes': (
            f'BAL {listed[BAL]} of its time, BAL lean {listed[LEAN_BAL]}; '
            f'losses of other packages {ends[0]:.2f} to {ends[1]:.0f}'
        )
    }


if __name__ == '__main__':
    main(__file__, __doc__, measure, table)
