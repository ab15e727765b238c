"""Boundary IoU, trimap mIoU and boundary F1 as a metric of MMSegmentation."""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS
from prettytable import PrettyTable

from ..models.arguments import explains_unknown_arguments
from ..ops.arguments import INT, Accepted, check_arguments, is_int, is_number
from .boundary_quality import (
    boundary_f1,
    boundary_iou_counts,
    class_maps,
    contour_counts,
    iou,
    trimap_counts,
)

SHARE = Accepted(
    "a share of the image's diagonal, above 0 and at most 1",
    lambda value: is_number(value) and 0 < value <= 1,
)
WIDTHS = Accepted(
    'different positive integers, in pixels, such as (1, 2, 4)',
    lambda value: (
        isinstance(value, Sequence)
        and len(value) > 0
        and all(is_int(width) and width > 0 for width in value)
        and len(set(value)) == len(value)
    ),
)
ARGUMENTS = dict(ratio=SHARE, widths=WIDTHS, tolerance=SHARE, ignore_index=INT)


@METRICS.register_module()
@explains_unknown_arguments
class BoundaryMetric(BaseMetric):
    """Quality of a prediction at boundaries, for use beside ``IoUMetric``.

    Results, in per cent, means over the classes that occur: ``mBIoU`` (Boundary IoU, Cheng et
    al. 2021), ``trimap_mIoU@W`` for each width W (DeepLab) and ``mBF1`` (boundary F1, Csurka et
    al. 2013). A table of all classes is logged. Counts are added over the data set and over
    processes; docs/boundary_metrics.md defines each measure and says what it makes of void.

    Args:
        ratio: Width of the bands of Boundary IoU, as a share of the image's diagonal.
        widths: Widths of the trimaps, in pixels on either side of a boundary.
        tolerance: Distance at which contours still match in boundary F1, as a share of the
            image's diagonal.
        ignore_index: The void label.
        **kwargs: ``collect_device``, ``prefix`` and ``collect_dir`` of ``BaseMetric``.

    Raises:
        ValueError: An argument is not one of those above.
    """

    def __init__(
        self,
        ratio: float = 0.02,
        widths: Sequence[int] = (1, 2, 4, 8, 16, 32),
        tolerance: float = 0.0075,
        ignore_index: int = 255,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        own = dict(ratio=ratio, widths=widths, tolerance=tolerance, ignore_index=ignore_index)
        check_arguments(ARGUMENTS, **own)
        self.ratio = ratio
        self.widths = tuple(widths)
        self.tolerance = tolerance
        self.ignore_index = ignore_index

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count in each image; the counts of an image are one result.

        Raises:
            ValueError: An image has no ground truth, sizes differ, or a label is no class.
        """
        num_classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            name = sample.get('img_path', 'an image')
            if 'gt_sem_seg' not in sample:
                raise ValueError(
                    f'BoundaryMetric compares with ground truth, but {name} has none; test on '
                    'a split with labels, or take BoundaryMetric out of test_evaluator'
                )
            prediction, truth = (_array(sample[k]) for k in ('pred_sem_seg', 'gt_sem_seg'))
            try:
                maps = class_maps(prediction, truth, num_classes, self.ignore_index)
            except ValueError as error:
                raise ValueError(f'{name}: {error}') from error
            self.results.append(self._counts(*maps, num_classes))

    def compute_metrics(self, results: list[dict[str, np.ndarray]]) -> dict[str, float]:
        """Add up the counts of all images, log a table of classes, and return the means."""
        total = {name: sum(result[name] for result in results) for name in results[0]}
        trimaps = zip(self.widths, iou(total['trimap']), strict=True)
        scores = {
            'mBIoU': iou(total['band']),
            **{f'trimap_mIoU@{width}': score for width, score in trimaps},
            'mBF1': boundary_f1(total['contour']),
        }
        means = {name: _mean(score) for name, score in scores.items()}
        print_log(f'boundary quality in %\n{self._table(scores, means)}', logger='current')
        return {name: round(mean, 2) for name, mean in means.items()}

    def _counts(
        self, prediction: np.ndarray, truth: np.ndarray, num_classes: int
    ) -> dict[str, np.ndarray]:
        maps = (prediction, truth, num_classes)
        return dict(
            band=boundary_iou_counts(*maps, self.ratio),
            trimap=trimap_counts(*maps, self.widths),
            contour=contour_counts(*maps, self.tolerance),
        )

    def _table(self, scores: dict[str, np.ndarray], means: dict[str, float]) -> PrettyTable:
        table = PrettyTable()
        classes = self.dataset_meta['classes']
        table.add_column('Class', [*classes, 'mean'], align='l')
        for name, score in scores.items():
            column = name.replace('_mIoU', '').removeprefix('m')  # trimap@4, BIoU, BF1
            values = [*(100 * score), means[name]]
            table.add_column(column, [f'{value:.2f}' for value in values], align='r')
        return table


def _array(data: dict) -> np.ndarray:
    """The (1, H, W) tensor of a sample's field as an (H, W) array."""
    return data['data'].squeeze(0).cpu().numpy()


def _mean(score: np.ndarray) -> float:
    """In per cent, over the classes that occur; NaN where none does."""
    occurring = score[~np.isnan(score)]
    return 100 * float(occurring.mean()) if occurring.size else float('nan')
