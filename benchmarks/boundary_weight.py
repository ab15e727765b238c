"""Cost of the weight map, beside the loss step it joins and its plain definition.

python -m benchmarks.boundary_weight
"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import InTurn, Run, enlarged, gradient, labels, main, measure_times
from benchmarks.records import times_table
from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.ops import boundary_weight_map
from mmseg_pacbal.ops.reference import boundary_weight_map_reference

BATCHES = (1, 4, 8)
SIDE = 513  # of the labels
SIZES = ((65, 65), (257, 257), (1024, 2048), (4096, 4096))


def measure(args: argparse.Namespace) -> dict:
    def make(classes: int, *shape: int) -> list[Tensor]:
        return labels(classes, shape, args.device)

    def time(runs: dict[str, Run]) -> dict[str, dict]:
        return measure_times(runs, args.repeats, args.device)

    images = make(21, 1, SIDE, SIDE)
    results: dict = dict(error=error(images[0]))
    # As in training, where the map and the rest of the loss take turns.
    for n in BATCHES:
        batches = make(21, n, SIDE, SIDE)
        in_bytes = [batch.byte() for batch in batches]  # as the loss reads them
        map_ = InTurn(BoundaryAwareLoss().weight_map, in_bytes)
        # What a head does without the map: upsampling, cross entropy, backward.
        logits = torch.randn(n, 21, 65, 65, device=args.device, requires_grad=True)
        step = InTurn(gradient(enlarged(F.cross_entropy)), [(logits, batch) for batch in batches])
        what = f'{n} x {SIDE} x {SIDE}', f'{n} x 21 x {SIDE} x {SIDE}'
        results[f'batch of {n}'] = time(
            {f'map in the loss, {what[0]}': map_, f'loss step, {what[1]}': step}
        )
    alone = InTurn(boundary_weight_map, images)
    plain = InTurn(boundary_weight_map_reference, images)
    results['reference'] = time(
        {f'map, 1 x {SIDE} x {SIDE}': alone, 'reference, 21 classes': plain}
    )
    many = {f'map, {n} classes': make(n, 1, SIDE, SIDE) for n in (2, 21, 150, 1000)}
    sizes = {f'map, 1 x {h} x {w}': make(21, 1, h, w) for h, w in SIZES}
    for name, group in (('classes', many), ('sizes', sizes)):
        results[name] = time({k: InTurn(boundary_weight_map, v) for k, v in group.items()})
    torch.set_num_threads(1)
    small = InTurn(boundary_weight_map, make(21, 1, 375, 500))
    results['one thread'] = time({'map, 1 x 375 x 500, 1 thread': small})
    return results


def error(label: Tensor) -> float:
    """Largest difference to the plain definition, as a share of its maximum."""
    expected = boundary_weight_map_reference(label)
    largest = ((boundary_weight_map(label) - expected).abs().max() / expected.max()).item()
    if not largest <= 1e-5:
        raise ValueError(f'the map differs from the reference by {largest:.2e} of the maximum')
    return largest


table = times_table


def summary(record: dict) -> dict[str, str]:
    def ratio(group: str) -> float:
        """The first median over the second."""
        first, second = (times['p50'] for times in record['results'][group].values())
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
