"""Cost of BoundaryMetric for one image: python -m benchmarks.boundary_metric

Labels are squares of 16 pixels, classes at random: far more boundary than real labels have.
"""

import argparse

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks.boundary_weight import blocks, times_table
from benchmarks.harness import Run, measure_times, parser, save
from mmseg_pacbal.metrics.boundary_quality import (
    boundary_iou_counts,
    contour_counts,
    trimap_counts,
)
from mmseg_pacbal.metrics.label_counts import class_maps
from mmseg_pacbal.openmmlab.metrics import BoundaryMetric
from tests.metrics.reference import (
    boundary_iou_reference,
    contour_reference,
    trimap_reference,
)

SHAPE = (1, 375, 500)
LIMIT = 0.030  # seconds an image of SHAPE, 21 classes


def main(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    label = blocks(21, SHAPE, 'cpu')
    check_equal(label)

    def time(runs: dict[str, Run]) -> dict[str, dict]:
        return measure_times(runs, args.repeats)

    results = dict(
        measures=time(measures(label)),
        present=time(
            {f'{n} of 21 classes present': run(blocks(n, SHAPE, 'cpu'), 21) for n in (2, 4, 21)}
        ),
        absent=time(
            {
                f'4 of {n} classes present': run(blocks(4, SHAPE, 'cpu'), n)
                for n in (4, 21, 150, 1000)
            }
        ),
        large=time({'19 classes, 1024 x 2048': run(blocks(19, (1, 1024, 2048), 'cpu'), 19)}),
        reference=time({'reference, 21 classes': lambda: reference(label)}),
    )
    print(times_table(results))
    p50 = results['present']['21 of 21 classes present']['p50']
    print(f'21 classes present: {1e3 * p50:.1f} ms, at most {1e3 * LIMIT:.0f} ms')
    save('boundary_metric', results, args)


def moved(label: Tensor) -> Tensor:
    """A prediction whose boundaries are off by 3 pixels."""
    return label.roll(3, 2)


def run(label: Tensor, num_classes: int) -> Run:
    """What the metric does for one image, of which both maps are (1, H, W)."""
    metric = BoundaryMetric()
    metric.dataset_meta = dict(classes=[str(c) for c in range(num_classes)])
    sample = dict(pred_sem_seg=dict(data=moved(label)), gt_sem_seg=dict(data=label))

    def process() -> None:
        metric.process({}, [sample])
        metric.results.clear()

    return process


def measures(label: Tensor) -> dict[str, Run]:
    maps = class_maps(moved(label)[0].numpy(), label[0].numpy(), 21)
    widths = BoundaryMetric().widths
    return {
        'all three, 21 classes': run(label, 21),
        'Boundary IoU': lambda: boundary_iou_counts(*maps, 21),
        f'trimaps, {len(widths)} widths': lambda: trimap_counts(*maps, 21, widths),
        'boundary F1': lambda: contour_counts(*maps, 21),
    }


def reference(label: Tensor) -> list[np.ndarray]:
    """The counts of all measures by the slow independent form."""
    metric = BoundaryMetric()
    maps = (moved(label)[0].numpy(), label[0].numpy(), 21)
    trimaps = [trimap_reference(*maps, width, 255) for width in metric.widths]
    return [
        boundary_iou_reference(*maps, metric.ratio, 255),
        np.stack(trimaps),
        contour_reference(*maps, metric.tolerance, 255),
    ]


def check_equal(label: Tensor) -> None:
    maps = class_maps(moved(label)[0].numpy(), label[0].numpy(), 21)
    widths = BoundaryMetric().widths
    found = [
        boundary_iou_counts(*maps, 21),
        trimap_counts(*maps, 21, widths),
        contour_counts(*maps, 21)[:4],
    ]
    for fast, slow in zip(found, reference(label), strict=True):
        if not np.array_equal(fast, slow):
            raise ValueError('the counts differ from those of the reference')


if __name__ == '__main__':
    p = parser(__doc__)
    p.set_defaults(threads=1, device='cpu')
    main(p.parse_args())
