"""Loss of a head and of its LeanHead, from its logits: python -m benchmarks.lean_loss

Both compute Boundary-aware Loss, accuracy and the gradient of the logits, batch 4, 512 x 512.
"""

import argparse
import warnings

import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from prettytable import PrettyTable
from torch import Tensor

import mmseg_pacbal  # noqa: F401 (importing registers)
from benchmarks.harness import Run, measure_times, parser, peak_memory, save

CASES = [  # classes, side of the logits
    (21, 64),
    (21, 33),
    (150, 64),
    (150, 33),
    (2, 64),
    (21, 128),
    (21, 256),
]
MEMORY_BAR = {21: 1 / 4, 150: 1 / 20}


def main(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    results = []
    for classes, side in CASES:
        runs, error = candidates(classes, side, args)
        times = measure_times(runs, args.repeats, args.device)
        memory = {name: peak_memory(run, args.device) for name, run in runs.items()}
        results.append(dict(classes=classes, logits=side, error=error, seconds=times, bytes=memory))
        print(f'{classes} classes, logits {side} x {side}: done', flush=True)
    print(table(results))
    save('lean_loss', results, args)


def candidates(classes: int, side: int, args: argparse.Namespace) -> tuple[dict[str, Run], dict]:
    """Both paths on the same input, and how much they differ, relative to the largest."""
    generator = torch.Generator().manual_seed(0)
    label = blocks(generator, classes, args.batch, args.size).to(args.device)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=image[None])) for image in label]
    logits = torch.randn(args.batch, classes, side, side, generator=generator)
    logits = logits.to(args.device).requires_grad_()

    def run(head: BaseDecodeHead) -> tuple[dict, Tensor]:
        losses = head.loss_by_feat(logits, samples)
        return losses, torch.autograd.grad(losses['loss_bal'], logits)[0]

    heads = {name: head(classes, name == 'lean').to(args.device) for name in ('plain', 'lean')}
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


def blocks(generator: torch.Generator, classes: int, batch: int, size: int) -> Tensor:
    """Squares of 32 pixels of one class each, a tenth of them void: (N, H, W)."""
    side = -(-size // 32)
    label = torch.randint(classes, (batch, side, side), generator=generator)
    label[torch.rand(label.shape, generator=generator) < 0.1] = 255
    return label.repeat_interleave(32, 1).repeat_interleave(32, 2)[:, :size, :size].contiguous()


def table(results: list[dict]) -> PrettyTable:
    columns = 'classes', 'logits', 'plain ms', 'lean ms', 'time', 'plain MiB', 'lean MiB', 'memory'
    lines = PrettyTable([*columns, 'bar'])
    for r in results:
        plain, lean = (r['seconds'][name]['p50'] * 1e3 for name in ('plain', 'lean'))
        plain_mib, lean_mib = (r['bytes'][name] / 2**20 for name in ('plain', 'lean'))
        bar = MEMORY_BAR.get(r['classes'])
        lines.add_row(
            [
                r['classes'],
                f'{r["logits"]} x {r["logits"]}',
                f'{plain:.1f}',
                f'{lean:.1f}',
                f'{lean / plain:.3f}',
                f'{plain_mib:.0f}',
                f'{lean_mib:.0f}',
                f'{lean_mib / plain_mib:.4f}',
                f'{bar:.4f}' if bar else '',
            ]
        )
    return lines


if __name__ == '__main__':
    p = parser(__doc__)
    p.add_argument('--batch', type=int, default=4)
    p.add_argument('--size', type=int, default=512, help='side of the labels')
    main(p.parse_args())
