"""What losses of well-known packages cost beside ours: time and memory of loss and gradient.

python -m benchmarks.losses    batch 4, 512x512, 2, 21 and 150 classes; peers that are installed
"""

import argparse
import importlib
from collections.abc import Collection
from importlib import metadata

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import (
    InTurn,
    Loss,
    agree,
    blocks,
    enlarged,
    fresh,
    gradient,
    main,
    measure_times,
    peak_memory,
    seconds_of,
)
from benchmarks.records import ms, source
from mmseg_pacbal.losses import BoundaryAwareLoss
from mmseg_pacbal.losses.label_check import as_bytes
from mmseg_pacbal.markdown import to_markdown
from mmseg_pacbal.ops.lean_cross_entropy import lean_cross_entropy

BATCH, SIZE, LOGITS = 4, 512, 64  # images, the side of their labels, and that of the logits
CLASSES = (2, 21, 150)
CROSS_ENTROPY, LEAN_CROSS_ENTROPY = 'cross entropy', 'cross entropy, lean'
BAL, LEAN_BAL = 'BAL', 'BAL, lean'
# A loss of which a call takes more than a second is timed three times only. One that would need
# more memory is left out.
SLOW, FEW_CALLS = 1.0, 3
MOST_MEBIBYTES = 7000


def measure(args: argparse.Namespace) -> list[dict]:
    results: list[dict] = []
    for classes in CLASSES:
        large = {
            r['loss'] for r in results if r['mebibytes'] / r['classes'] * classes > MOST_MEBIBYTES
        }
        for name in sorted(large):
            print(f'{name} is left out: too much memory at {classes} classes')
        results += rows(classes, args, large)
    return results


def rows(classes: int, args: argparse.Namespace, left_out: Collection[str] = ()) -> list[dict]:
    """Figures of every loss that is installed.

    Raises:
        ValueError: A lean loss is not what it replaces, or a gradient is not finite.
    """
    batches = inputs(classes, args.device)
    candidates = losses(classes, args.device)
    runs = {
        name: InTurn(gradient(loss), batches)
        for name, (_, loss) in candidates.items()
        if name not in left_out
    }
    for lean, plain in ((LEAN_CROSS_ENTROPY, CROSS_ENTROPY), (LEAN_BAL, BAL)):
        agree(f'the gradients of {lean} and {plain}', runs[lean](), runs[plain]())
    first = {name: first_call(name, run, args.device) for name, run in runs.items()}
    slow = {name for name, seconds in first.items() if seconds > SLOW}
    few = min(FEW_CALLS, args.repeats)
    quick = {name: run for name, run in runs.items() if name not in slow}
    times = measure_times(quick, args.repeats, args.device)
    times |= measure_times({name: runs[name] for name in slow}, few, args.device, untimed=0)
    return [
        dict(classes=classes, loss=name, package=candidates[name][0])
        | dict(calls=few if name in slow else args.repeats, **times[name])
        | dict(mebibytes=peak_memory(run, args.device, warm=True) / 2**20)
        for name, run in runs.items()
    ]


def inputs(classes: int, device: str) -> list[tuple[Tensor, Tensor]]:
    """Logits (N, C, h, w) that are right at most pixels, as in training, and labels (N, H, W)."""

    def make(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        label = blocks(generator, classes, (BATCH, SIZE, SIZE), side=32)
        stride = SIZE // LOGITS
        right = F.one_hot(label[:, ::stride, ::stride], classes).permute(0, 3, 1, 2)
        logits = torch.randn(BATCH, classes, LOGITS, LOGITS, generator=generator) + 8 * right
        return logits.to(device).requires_grad_(), label.to(device)

    return fresh(make)


def first_call(name: str, run: InTurn, device: str) -> float:
    """Seconds of a call whose gradient is looked at."""
    gradients: list[Tensor] = []
    seconds = seconds_of(lambda: gradients.append(run()), device)
    if not bool(gradients[0].isfinite().all()):
        raise ValueError(f'the gradient of {name} is not finite')
    print(f'{name}: {seconds:.2f} s', flush=True)
    return seconds


def mmseg_losses(package: object, classes: int) -> dict[str, Loss]:
    focal = package.FocalLoss()

    def focal_of_one_hot(logits: Tensor, label: Tensor) -> Tensor:
        # With labels of classes it raises on a CPU.
        return focal(logits, F.one_hot(label, classes).permute(0, 3, 1, 2))

    return {
        CROSS_ENTROPY: package.CrossEntropyLoss(),
        'OHEM': package.OhemCrossEntropy(),
        'focal': focal_of_one_hot,
        'Dice': package.DiceLoss(use_sigmoid=False),
        'Lovász': package.LovaszLoss(reduction='none'),
    }


def monai_losses(package: object, classes: int) -> dict[str, Loss]:
    softmax = dict(to_onehot_y=True, softmax=True)
    hausdorff = package.HausdorffDTLoss(include_background=True, **softmax)
    dice = package.GeneralizedDiceLoss(**softmax)
    return {
        'Hausdorff, distance transform': lambda logits, label: hausdorff(logits, label[:, None]),
        'generalised Dice': lambda logits, label: dice(logits, label[:, None]),
    }


def smp_losses(package: object, classes: int) -> dict[str, Loss]:
    return {
        'Lovász, smp': package.LovaszLoss('multiclass'),
        'Tversky': package.TverskyLoss('multiclass', alpha=0.3, beta=0.7),
    }


PEERS = (  # package, where its losses are, and how they are built
    ('MMSegmentation', 'mmseg.models.losses', mmseg_losses),
    ('MONAI', 'monai.losses', monai_losses),
    ('segmentation_models_pytorch', 'segmentation_models_pytorch.losses', smp_losses),
)


def losses(classes: int, device: str = 'cpu') -> dict[str, tuple[str, Loss]]:
    """Package and loss by name; a peer that is not installed is left out, with a line."""
    ours = BoundaryAwareLoss()

    def lean_bal(logits: Tensor, label: Tensor) -> Tensor:
        label = ours._check_label(label, classes, 255)
        factor = ours.pixel_factor(as_bytes(label, classes, 255))
        return lean_cross_entropy(logits, label, factor)[0] / label.numel()

    def lean_ce(logits: Tensor, label: Tensor) -> Tensor:
        return lean_cross_entropy(logits, label)[0] / label.numel()

    candidates: dict[str, tuple[str, Loss]] = {
        LEAN_BAL: ('ours', lean_bal),
        BAL: ('ours', enlarged(ours)),
        LEAN_CROSS_ENTROPY: ('ours', lean_ce),
    }
    for title, module, build in PEERS:
        try:
            built = build(importlib.import_module(module), classes)
        except ImportError as error:
            print(f'{title} is left out: {error}')
            continue
        package = f'{title} {metadata.version(title)}'
        candidates |= {name: (package, enlarged(loss)) for name, loss in built.items()}
    if device != 'cpu':
        del candidates['focal']  # its operator for GPUs is not in mmcv-lite
    return candidates


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
    return ms(row), f'{row["p50"] / unit["p50"]:.2f}', f'{row["mebibytes"]:.0f} MiB'


def summary(record: dict) -> dict[str, str]:
    cells = {(row['loss'], row['classes']): row['p50'] for row in record['results']}
    numbers = sorted({classes for _, classes in cells})
    ours = {BAL, LEAN_BAL, CROSS_ENTROPY, LEAN_CROSS_ENTROPY}

    def of(name: str) -> list[float]:
        return [cells[name, n] / cells[CROSS_ENTROPY, n] for n in numbers if (name, n) in cells]

    others = [times for name, _ in cells if name not in ours for times in of(name)]
    listed = {name: ' / '.join(f'{times:.2f}' for times in of(name)) for name in ours}
    counts = ' / '.join(f'{n:.0f}' for n in numbers)
    return {
        f'loss and gradient against cross entropy, {counts} classes': (
            f'BAL {listed[BAL]} of its time, BAL lean {listed[LEAN_BAL]}; '
            f'losses of other packages {min(others):.2f} to {max(others):.0f}'
        )
    }


if __name__ == '__main__':
    main(__file__, __doc__, measure, table)
