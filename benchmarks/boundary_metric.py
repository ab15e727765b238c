"""Cost of BoundaryMetric for one image.

python -m benchmarks.boundary_metric    on one thread of a CPU

Labels are squares of 16 pixels, classes at random: far more boundary than real labels have.
"""

import argparse

import cv2
import numpy as np
from torch import Tensor

from benchmarks.harness import Run, blocks, main, measure_times
from benchmarks.records import median, times_table
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


def measure(args: argparse.Namespace) -> dict:
    cv2.setNumThreads(args.threads)
    label = blocks(21, SHAPE)
    check_equal(label)

    def time(runs: dict[str, Run]) -> dict[str, dict]:
        return measure_times(runs, args.repeats)

    present = {f'{n} of 21 classes present': run(blocks(n, SHAPE), 21) for n in (2, 4, 21)}
    absent = {f'4 of {n} classes present': run(blocks(4, SHAPE), n) for n in (4, 21, 150, 1000)}
    return dict(
        measures=time(measures(label)),
        present=time(present),
        absent=time(absent),
        large=time({'19 classes, 1024 x 2048': run(blocks(19, (1, 1024, 2048)), 19)}),
        reference=time({'reference, 21 classes': lambda: reference(label)}),
    )


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


def reference(label: Tensor, classes: int = 21) -> list[np.ndarray]:
    """The counts of all measures by the slow independent form."""
    metric = BoundaryMetric()
    maps = (moved(label)[0].numpy(), label[0].numpy(), classes)
    trimaps = [trimap_reference(*maps, width, 255) for width in metric.widths]
    return [
        boundary_iou_reference(*maps, metric.ratio, 255),
        np.stack(trimaps),
        contour_reference(*maps, metric.tolerance, 255),
    ]


def check_equal(label: Tensor, classes: int = 21) -> None:
    maps = class_maps(moved(label)[0].numpy(), label[0].numpy(), classes)
    widths = BoundaryMetric().widths
    found = [
        boundary_iou_counts(*maps, classes),
        trimap_counts(*maps, classes, widths),
        contour_counts(*maps, classes)[:4],
    ]
    for fast, slow in zip(found, reference(label, classes), strict=True):
        if not np.array_equal(fast, slow):
            raise ValueError('the counts differ from those of the reference')


table = times_table


def summary(record: dict) -> dict[str, str]:
    what = '`BoundaryMetric`, an image of 500x375 with 21 classes, one thread'
    seconds = median(record['results']['present']['21 of 21 classes present'])
    return {what: f'{1e3 * seconds:.0f} ms'}


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, threads=1, device='cpu')
