"""Boundary IoU, trimap mIoU and boundary F1 as a metric of MMSegmentation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import METRICS
from prettytable import PrettyTable

from ...metrics.boundary_scores import ARGUMENTS, boundary_counts, boundary_scores
from ...metrics.label_counts import mean_percent
from ...ops.arguments import check_arguments
from .count_metric import CountMetric, Counts


@METRICS.register_module()
class BoundaryMetric(CountMetric):
    """Quality of a prediction at boundaries, for use along with ``IoUMetric``.

    Results, in per cent, means over the classes that occur: ``mBIoU`` (Boundary IoU, Cheng et
    al. 2021), ``trimap_mIoU@W`` for each width W (DeepLab) and ``mBF1`` (boundary F1, Csurka et
    al. 2013). A table of all classes is logged. Counts are added over the data set and over
    processes; docs/boundary_metrics.md defines each measure and how it treats void.

    Args:
        ratio: Width of the bands of Boundary IoU, as a share of the image's diagonal.
        widths: Widths of the trimaps, in pixels on either side of a boundary, increasing.
        tolerance: Largest distance at which contours match in boundary F1, as a share of the
            image's diagonal.
        **kwargs: ``ignore_index``, the void label (255), and ``collect_device``, ``prefix`` and
            ``collect_dir`` of ``BaseMetric``.

    Raises:
        ValueError: An argument is unknown or has a value that is not accepted.
    """

    def __init__(
        self,
        ratio: float = 0.02,
        widths: Sequence[int] = (1, 2, 4, 8, 16, 32),
        tolerance: float = 0.0075,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_arguments(ARGUMENTS, ratio=ratio, widths=widths, tolerance=tolerance)
        self.ratio = ratio
        self.widths = tuple(widths)
        self.tolerance = tolerance

    def count(self, prediction: np.ndarray, truth: np.ndarray, num_classes: int) -> Counts:
        settings: dict = dict(ratio=self.ratio, widths=self.widths, tolerance=self.tolerance)
        return boundary_counts(prediction, truth, num_classes, **settings)

    def scores(self, total: Counts) -> dict[str, float]:
        scores = boundary_scores(total, self.widths)
        means = {name: mean_percent(score) for name, score in scores.items()}
        print_log(f'boundary quality in %\n{self._table(scores, means)}', logger='current')
        return {name: round(mean, 2) for name, mean in means.items()}

    def _table(self, scores: dict[str, np.ndarray], means: dict[str, float]) -> PrettyTable:
        table = PrettyTable()
        classes = self.dataset_meta['classes']
        table.add_column('Class', [*classes, 'mean'], align='l')
        for name, score in scores.items():
            column = name.replace('_mIoU', '').removeprefix('m')  # trimap@4, BIoU, BF1
            values = [*(100 * score), means[name]]
            table.add_column(column, [f'{value:.2f}' for value in values], align='r')
        return table
