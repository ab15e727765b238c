"""Cost of BoundaryMetric for one image.

python -m benchmarks.boundary_metric    on one thread of a CPU

Labels are squares of 16 pixels, classes at random: far more boundary than real labels have.
"""

import argparse

import cv2
from torch import Tensor

from benchmarks.harness import InTurn, labels, main, measure_times
from benchmarks.records import ms, times_table
from mmseg_pacbal.metrics.boundary_quality import (
    boundary_iou_counts,
    contour_counts,
    trimap_counts,
)
from mmseg_pacbal.metrics.label_counts import class_maps
from mmseg_pacbal.openmmlab.metrics import BoundaryMetric

SHAPE = (1, 375, 500)
LARGE = (1, 1024, 2048)


def measure(args: argparse.Namespace) -> dict:
    cv2.setNumThreads(args.threads)
    images = labels(21, SHAPE)
    groups = dict(
        measures={'all three, 21 classes': metric(images, 21)} | measures(images),
        present={f'{n} of 21 classes present': metric(labels(n, SHAPE), 21) for n in (2, 4, 21)},
        absent={
            f'4 of {n} classes present': metric(labels(4, SHAPE), n) for n in (4, 21, 150, 1000)
        },
        large={'19 classes, 1024 x 2048': metric(labels(19, LARGE), 19)},
    )
    return {name: measure_times(runs, args.repeats) for name, runs in groups.items()}


def moved(label: Tensor) -> Tensor:
    """A prediction whose boundaries are off by 3 pixels."""
    return label.roll(3, 2)


def metric(images: list[Tensor], num_classes: int) -> InTurn:
    """What the metric does for one image, of which both maps are (1, H, W)."""
    built = BoundaryMetric()
    built.dataset_meta = dict(classes=[str(c) for c in range(num_classes)])

    def process(label: Tensor) -> None:
        sample = dict(pred_sem_seg=dict(data=moved(label)), gt_sem_seg=dict(data=label))
        built.process({}, [sample])
        built.results.clear()

    return InTurn(process, images)


def maps(label: Tensor, classes: int = 21) -> tuple:
    """What the counts of a measure are made of."""
    return (*class_maps(moved(label)[0].numpy(), label[0].numpy(), classes), classes)


def measures(images: list[Tensor]) -> dict[str, InTurn]:
    inputs, widths = [*map(maps, images)], BoundaryMetric().widths
    return {
        'Boundary IoU': InTurn(lambda one: boundary_iou_counts(*one), inputs),
        f'trimaps, {len(widths)} widths': InTurn(lambda one: trimap_counts(*one, widths), inputs),
        'boundary F1': InTurn(lambda one: contour_counts(*one), inputs),
    }


table = times_table


def summary(record: dict) -> dict[str, str]:
    what = '`BoundaryMetric`, an image of 500x375 with 21 classes, one thread'
    return {what: ms(record['results']['present']['21 of 21 classes present'])}


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, threads=1, device='cpu')
