"""Metrics that show what mIoU hides, registered in MMSegmentation's METRICS.

Each counts in every image; counts are added up over the data set and over processes, and scores are
computed from the sums.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS
from prettytable import PrettyTable

from ..metrics import boundary_quality, calibration, hard_regions
from ..metrics.boundary_quality import Counts
from ..metrics.label_counts import accuracy, class_maps, iou, mean_percent, reject_nan
from ..ops.arguments import INT, POSITIVE_INT, check_arguments, reject_unknown_arguments

__all__ = ['BoundaryMetric', 'CalibrationMetric', 'HardRegionMetric']


Packed = tuple[int, np.ndarray, np.ndarray]  # C, the classes counted, and their counts


class CountMetric(BaseMetric):
    """Base of metrics that count in each image and compute scores from the sums.

    Args:
        ignore_index: The void label.
        **kwargs: ``collect_device``, ``prefix`` and ``collect_dir`` of ``BaseMetric``.

    Raises:
        ValueError: ignore_index is not an integer.
    """

    default_prefix = ''  # None would warn that there is none

    def __init__(self, ignore_index: int = 255, **kwargs) -> None:
        reject_unknown_arguments(type(self), kwargs)
        super().__init__(**kwargs)
        check_arguments(dict(ignore_index=INT), ignore_index=ignore_index)
        self.ignore_index = ignore_index

    @property
    def classes(self) -> list[str]:
        return list(self.dataset_meta['classes'])

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count in each image; ValueError names one with sizes, labels or scores that are wrong."""
        for sample in data_samples:
            name = sample.get('img_path', 'an image')
            if 'gt_sem_seg' not in sample:
                metric = type(self).__name__
                raise ValueError(
                    f'{metric} compares with ground truth, but {name} has none; test on a split '
                    f'with labels, or remove {metric} from the evaluators of the config'
                )
            prediction, truth = (_array(sample[k]) for k in ('pred_sem_seg', 'gt_sem_seg'))
            try:
                maps = class_maps(prediction, truth, len(self.classes), self.ignore_index)
                if 'seg_logits' in sample:
                    nan = sample['seg_logits']['data'].amax(0).isnan()  # the greatest of NaN is NaN
                    reject_nan(nan.cpu().numpy() & (maps[1] != len(self.classes)))
            except ValueError as error:
                raise ValueError(f'{name}: {error}') from error
            counts = self.count_sample(sample, *maps, len(self.classes))
            self.results.append({name: _packed(count) for name, count in counts.items()})

    def compute_metrics(self, results: list[dict[str, Packed]]) -> dict[str, float]:
        """Add up the counts of all images and compute the scores."""
        total: Counts = {}
        for result in results:
            for name, (size, used, values) in result.items():
                dtype = np.result_type(values, np.int64)
                zeros = np.zeros((*values.shape[:-1], size), dtype)
                total.setdefault(name, zeros)[..., used] += values
        return self.scores(total)

    def count_sample(
        self, sample: dict, prediction: np.ndarray, truth: np.ndarray, num_classes: int
    ) -> Counts:
        """Counts in one image; its maps, (H, W), are those of :func:`class_maps`."""
        return self.count(prediction, truth, num_classes)

    def count(self, prediction: np.ndarray, truth: np.ndarray, num_classes: int) -> Counts:
        """Counts in one image, of a metric that needs nothing but the maps."""
        raise NotImplementedError

    def scores(self, total: Counts) -> dict[str, float]:
        """Scores from the counts of the whole data set."""
        raise NotImplementedError


@METRICS.register_module()
class BoundaryMetric(CountMetric):
    """Quality of a prediction at boundaries, for use along with ``IoUMetric``.

    Results, in %, means over the classes that occur: ``mBIoU`` (Boundary IoU, Cheng et
    al. 2021), ``trimap_mIoU@W`` for each width W (DeepLab) and ``mBF1`` (boundary F1, Csurka et
    al. 2013). A table of all classes is logged. docs/boundary_metrics.md defines each measure and
    how it treats void.

    Args:
        ratio: Width of the bands of Boundary IoU, as a share of the image's diagonal.
        widths: Widths of the trimaps, in pixels on either side of a boundary, increasing.
        tolerance: Largest distance at which contours match in boundary F1, as a share of the
            image's diagonal.
        **kwargs: ``ignore_index``, the void label (255), and those of ``BaseMetric``.

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
        settings = dict(ratio=ratio, widths=widths, tolerance=tolerance)
        check_arguments(boundary_quality.ACCEPTED, **settings)
        self.ratio = ratio
        self.widths = tuple(widths)
        self.tolerance = tolerance

    def count(self, prediction: np.ndarray, truth: np.ndarray, num_classes: int) -> Counts:
        settings: dict[str, Any] = dict(
            ratio=self.ratio, widths=self.widths, tolerance=self.tolerance
        )
        return boundary_quality.boundary_counts(prediction, truth, num_classes, **settings)

    def scores(self, total: Counts) -> dict[str, float]:
        scores = boundary_quality.boundary_scores(total, self.widths)
        means = {name: mean_percent(score) for name, score in scores.items()}
        table = PrettyTable()
        table.add_column('Class', [*self.classes, 'mean'], align='l')
        for name, score in scores.items():
            column = name.replace('_mIoU', '').removeprefix('m')  # trimap@4, BIoU, BF1
            cells = [f'{value:.2f}' for value in (*(100 * score), means[name])]
            table.add_column(column, cells, align='r')
        print_log(f'boundary quality in %\n{table}', logger='current')
        return {name: round(mean, 2) for name, mean in means.items()}


@METRICS.register_module()
class CalibrationMetric(CountMetric):
    """How well the confidence of a model agrees with its accuracy.

    Results for each of the regions ``all``, ``boundary`` and ``interior``: ``<region>_ECE``, the
    expected calibration error, and ``<region>_overconfidence``, mean confidence minus accuracy.
    Both are shares, not %. After an evaluation, ``total`` holds the counts of the data set,
    (R, 3, M).

    Args:
        bins: Number of bins of equal width into which pixels are sorted by confidence.
        width: Width of the boundary, in pixels on either side.
        **kwargs: ``ignore_index``, the void label (255), and those of ``BaseMetric``.

    Raises:
        ValueError: bins or width is not a positive integer.
    """

    total: np.ndarray

    def __init__(self, bins: int = 15, width: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes: dict[str, Any] = dict(bins=bins, width=width)
        check_arguments(dict.fromkeys(self.sizes, POSITIVE_INT), **self.sizes)

    def count_sample(
        self, sample: dict, prediction: np.ndarray, truth: np.ndarray, num_classes: int
    ) -> Counts:
        scores = sample['seg_logits']['data'].float().cpu().numpy()
        if len(scores) == 1:  # MMSegmentation has applied the sigmoid, and perhaps its threshold
            object_probability = scores[0].astype(np.float64)
            confidence = np.where(prediction == 1, object_probability, 1 - object_probability)
        else:
            confidence = calibration.confidence(scores)
        maps = (confidence, prediction, truth)
        return dict(calibration=calibration.calibration_counts(*maps, num_classes, **self.sizes))

    def scores(self, total: Counts) -> dict[str, float]:
        self.total = total['calibration']
        table = calibration.calibration_table({'': self.total})
        print_log(f'calibration\n{table}', logger='current')
        errors = calibration.expected_calibration_error(self.total)
        over = calibration.overconfidence(self.total)
        scores = {}
        for i, region in enumerate(calibration.CALIBRATION_REGIONS):
            scores[f'{region}_ECE'] = round(float(errors[i]), 4)
            scores[f'{region}_overconfidence'] = round(float(over[i]), 4)
        return scores


@METRICS.register_module()
class HardRegionMetric(CountMetric):
    """mIoU and mean accuracy of each region of :func:`region_masks`.

    Results, in %: ``<region>_mIoU`` and ``<region>_mAcc``, such as ``thin_parts_mIoU``. A
    class called ``background`` is not an object. After an evaluation, ``total`` holds the counts
    of the data set, (R, 3, C).

    Args:
        width: Width of the band near boundaries, in pixels.
        area: Objects of fewer pixels are small.
        radius: Parts in which no disc of this radius fits are thin.
        **kwargs: ``ignore_index``, the void label (255), and those of ``BaseMetric``.

    Raises:
        ValueError: A size is not a positive integer.
    """

    total: np.ndarray

    def __init__(self, width: int = 8, area: int = 1024, radius: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes: dict[str, Any] = dict(width=width, area=area, radius=radius)
        check_arguments(dict.fromkeys(self.sizes, POSITIVE_INT), **self.sizes)

    def count(self, prediction: np.ndarray, truth: np.ndarray, num_classes: int) -> Counts:
        options: dict[str, Any] = dict(self.sizes)
        if 'background' in self.classes:
            options['background'] = self.classes.index('background')
        return dict(regions=hard_regions.region_counts(prediction, truth, num_classes, **options))

    def scores(self, total: Counts) -> dict[str, float]:
        self.total = total['regions']
        table = hard_regions.region_table({'': self.total})
        print_log(f'hard regions, in %\n{table}', logger='current')
        scores = {}
        for region, counts in zip(hard_regions.HARD_REGIONS, self.total, strict=True):
            name = region.replace(' ', '_')
            scores[f'{name}_mIoU'] = round(mean_percent(iou(counts)), 2)
            scores[f'{name}_mAcc'] = round(mean_percent(accuracy(counts)), 2)
        return scores


def _packed(counts: np.ndarray) -> Packed:
    """The columns that are not empty, without the zeros of classes that an image does not have."""
    used = np.flatnonzero(counts.any(axis=tuple(range(counts.ndim - 1))))
    values = counts[..., used]
    if values.dtype == np.int64:
        values = values.astype(np.int32)  # OpenCV's images have fewer than 2^31 pixels
    return counts.shape[-1], used.astype(np.uint16), values


def _array(data: dict) -> np.ndarray:
    """The (1, H, W) tensor of a sample's field as an (H, W) array."""
    return data['data'].squeeze(0).cpu().numpy()
