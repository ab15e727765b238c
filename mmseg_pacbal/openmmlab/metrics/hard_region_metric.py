"""mIoU and accuracy where segmentation is hard, as a metric of MMSegmentation."""

from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import METRICS

from ...metrics.hard_regions import REGIONS, region_counts
from ...metrics.label_counts import accuracy, iou, mean_percent
from ...metrics.region_report import region_table
from ...ops.arguments import POSITIVE_INT, check_arguments
from .count_metric import CountMetric, Counts


@METRICS.register_module()
class HardRegionMetric(CountMetric):
    """mIoU and mean accuracy of each region of :func:`region_masks`.

    Results, in per cent: ``<region>_mIoU`` and ``<region>_mAcc``, such as ``thin_parts_mIoU``. A
    class called ``background`` is not an object. After an evaluation, ``total`` holds the counts
    of the data set, (R, 3, C).

    Args:
        width: Width of the band near boundaries, in pixels.
        area: Objects of fewer pixels are small.
        radius: Parts in which no disc of this radius fits are thin.
        **kwargs: ``ignore_index``, the void label (255), and ``collect_device``, ``prefix`` and
            ``collect_dir`` of ``BaseMetric``.

    Raises:
        ValueError: A size is not a positive integer.
    """

    total: np.ndarray

    def __init__(self, width: int = 8, area: int = 1024, radius: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = dict(width=width, area=area, radius=radius)
        check_arguments(dict.fromkeys(self.sizes, POSITIVE_INT), **self.sizes)

    def count(self, prediction: np.ndarray, truth: np.ndarray, num_classes: int) -> Counts:
        classes = list(self.dataset_meta['classes'])
        background = classes.index('background') if 'background' in classes else None
        options = dict(background=background, **self.sizes)
        return dict(regions=region_counts(prediction, truth, num_classes, **options))

    def scores(self, total: Counts) -> dict[str, float]:
        self.total = total['regions']
        print_log(f'hard regions, in %\n{region_table({"": self.total})}', logger='current')
        scores = {}
        for region, counts in zip(REGIONS, self.total, strict=True):
            name = region.replace(' ', '_')
            scores[f'{name}_mIoU'] = round(mean_percent(iou(counts)), 2)
            scores[f'{name}_mAcc'] = round(mean_percent(accuracy(counts)), 2)
        return scores
