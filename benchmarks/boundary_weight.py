"""Cost of the weight map, beside the loss step it joins and its plain definition.

python -m benchmarks.boundary_weight
"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import Run, blocks, main, measure_times
from benchmarks.records import median, times_table
from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.losses.label_check import as_bytes
from mmseg_pacbal.ops import boundary_weight_map
from mmseg_pacbal.ops.reference import boundary_weight_map_reference

BATCHES = (1, 4, 8)
SIDE = 513  # of the labels


def measure(args: argparse.Namespace) -> dict:
    def time(runs: dict[str, Run]) -> dict[str, dict]:
        return measure_times(runs, args.repeats, args.device)

    label = blocks(21, (1, SIDE, SIDE)).to(args.device)
    results: dict = dict(error=error(label))
    # As in training, where the map and the rest of the loss take turns.
    for n in BATCHES:
        batch = label.repeat(n, 1, 1)
        results[f'batch of {n}'] = time(
            {
                f'map in the loss, {n} x {SIDE} x {SIDE}': weight_map_of_the_loss(batch),
                f'loss step, {n} x 21 x {SIDE} x {SIDE}': loss_step(batch),
            }
        )
    results['reference'] = time(
        {
            f'map, 1 x {SIDE} x {SIDE}': weight_map(label),
            'reference, 21 classes': lambda: boundary_weight_map_reference(label),
        }
    )
    of_classes = {n: blocks(n, (1, SIDE, SIDE)).to(args.device) for n in (2, 21, 150, 1000)}
    results['classes'] = time(
        {f'map, {n} classes': weight_map(label) for n, label in of_classes.items()}
    )
    torch.set_num_threads(1)
    small = blocks(21, (1, 375, 500)).to(args.device)
    results['one thread'] = time({'map, 1 x 375 x 500, 1 thread': weight_map(small)})
    return results


def error(label: Tensor) -> float:
    """Largest difference to the plain definition, as a share of its maximum."""
    expected = boundary_weight_map_reference(label)
    found = ((boundary_weight_map(label) - expected).abs().max() / expected.max()).item()
    if not found <= 1e-5:
        raise ValueError(f'the map differs from the reference by {found:.2e} of the maximum')
    return found


def weight_map(label: Tensor) -> Run:
    return lambda: boundary_weight_map(label)


def weight_map_of_the_loss(label: Tensor) -> Run:
    loss = BoundaryAwareLoss()
    return lambda: loss.weight_map(as_bytes(label, 21, 255))


def loss_step(label: Tensor) -> Run:
    """What a head does without the map: upsampling, cross entropy, backward."""
    logits = torch.randn(len(label), 21, 65, 65, device=label.device, requires_grad=True)

    def run() -> Tensor:
        large = F.interpolate(logits, label.shape[1:], mode='bilinear', align_corners=False)
        return torch.autograd.grad(F.cross_entropy(large, label), logits)[0]

    return run


table = times_table


def summary(record: dict) -> dict[str, str]:
    def ratio(group: str) -> float:
        """Of the first median to the second."""
        first, second = map(median, record['results'][group].values())
        return first / second

    shares = [f'{100 * ratio(f"batch of {n}"):.1f} %' for n in reversed(BATCHES)]
    return {
        'weight map against the plain definition, 21 classes, 513x513': (
            f'{1 / ratio("reference"):.0f} times faster'
        ),
        'weight map, share of the loss step it joins, batch 8 / 4 / 1': ' / '.join(shares),
    }


if __name__ == '__main__':
    main(__file__, __doc__, measure, table)
