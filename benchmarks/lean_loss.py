"""Loss of a head and of its LeanHead, from its logits, batch 4, 512 x 512.

python -m benchmarks.lean_loss    Boundary-aware Loss, accuracy and the gradient of the logits
"""

import argparse
import warnings

import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

import mmseg_pacbal  # noqa: F401 (importing registers)
from benchmarks.harness import Run, blocks, main, measure_both
from benchmarks.records import median, source
from mmseg_pacbal.markdown import to_markdown

BATCH, SIZE = 4, 512  # images, and the side of their labels
# Classes, side of the logits.
CASES = [(21, 64), (21, 33), (150, 64), (150, 33), (2, 64), (21, 128), (21, 256)]
PATHS = ('plain', 'lean')


def measure(args: argparse.Namespace) -> list[dict]:
    results = []
    for classes, side in CASES:
        runs, error = candidates(classes, side, args.device)
        measured = measure_both(runs, args)
        results.append(dict(classes=classes, logits=side, error=error, **measured))
    return results


def candidates(classes: int, side: int, device: str) -> tuple[dict[str, Run], dict]:
    """Both paths on the same input, and how much they differ, relative to the largest."""
    label = blocks(classes, (BATCH, SIZE, SIZE), side=32, void=0.1).to(device)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=image[None])) for image in label]
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(BATCH, classes, side, side, generator=generator)
    logits = logits.to(device).requires_grad_()

    def run(head: BaseDecodeHead) -> tuple[dict, Tensor]:
        losses = head.loss_by_feat(logits, samples)
        return losses, torch.autograd.grad(losses['loss_bal'], logits)[0]

    heads = {name: head(classes, name == 'lean').to(device) for name in PATHS}
    (plain, plain_grad), (lean, lean_grad) = (run(head) for head in heads.values())
    error = {name: (lean[name] / plain[name] - 1).abs().item() for name in plain}
    error['gradient'] = ((lean_grad - plain_grad).abs().max() / plain_grad.abs().max()).item()
    if not max(error.values()) <= 1e-5:
        raise ValueError(f'lean and plain differ by {error}')
    return {name: lambda head=head: run(head) for name, head in heads.items()}, error


def head(classes: int, lean: bool) -> BaseDecodeHead:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # two classes with two channels are fine here
        cfg = dict(type='LeanHead', head='PACHead') if lean else dict(type='PACHead')
        cfg |= dict(in_channels=4, channels=4, num_classes=classes)
        return MODELS.build({**cfg, 'loss_decode': dict(type='BoundaryAwareLoss')})


def table(record: dict) -> str:
    rows = []
    for case in record['results']:
        held = [case['memory'][name] for name in PATHS]
        rows.append(
            [
                str(case['classes']),
                f'{case["logits"]} x {case["logits"]}',
                *(f'{1e3 * median(case["times"][name]):.0f} ms' for name in PATHS),
                *(f'{size / 2**20:.0f} MiB' for size in held),
                f'{held[1] / held[0]:.3f}',
            ]
        )
    head = ['classes', 'logits', 'plain', 'lean', 'plain memory', 'lean memory', 'ratio']
    return to_markdown(head, rows, left=2) + source(record)


def summary(record: dict) -> dict[str, str]:
    cases = [c for c in record['results'] if c['classes'] in (21, 150) and c['logits'] == 64]
    times = [[median(case['times'][name]) for name in PATHS] for case in cases]
    speedups = [f'{plain / lean:.1f}' for plain, lean in times]
    shares = [f'{case["memory"]["lean"] / case["memory"]["plain"]:.2f}' for case in cases]
    return {
        '`LeanHead` against the plain path, batch 4, 512x512, 21 / 150 classes': (
            f'{" / ".join(speedups)} times faster, {" / ".join(shares)} of the memory'
        )
    }


if __name__ == '__main__':
    main(__file__, __doc__, measure, table)
