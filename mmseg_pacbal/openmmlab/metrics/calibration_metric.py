"""Expected calibration error, over all pixels, at boundaries and inside, for MMSegmentation."""

from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import METRICS

from ...metrics.calibration import (
    REGIONS,
    calibration_counts,
    confidence,
    expected_calibration_error,
    overconfidence,
)
from ...metrics.calibration_report import calibration_table
from ...ops.arguments import POSITIVE_INT, check_arguments
from .count_metric import CountMetric, Counts


@METRICS.register_module()
class CalibrationMetric(CountMetric):
    """How well the confidence of a model agrees with its accuracy.

    Results for each of the regions ``all``, ``boundary`` and ``interior``: ``<region>_ECE``, the
    expected calibration error, and ``<region>_overconfidence``, mean confidence minus accuracy.
    Both are shares, not per cent. After an evaluation, ``total`` holds the counts of the data set,
    (R, 3, M).

    Args:
        bins: Number of bins of equal width into which pixels are sorted by confidence.
        width: Width of the boundary, in pixels on either side.
        **kwargs: ``ignore_index``, the void label (255), and ``collect_device``, ``prefix`` and
            ``collect_dir`` of ``BaseMetric``.

    Raises:
        ValueError: bins or width is not a positive integer.
    """

    total: np.ndarray

    def __init__(self, bins: int = 15, width: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = dict(bins=bins, width=width)
        check_arguments(dict.fromkeys(self.sizes, POSITIVE_INT), **self.sizes)

    def count_sample(
        self, sample: dict, prediction: np.ndarray, truth: np.ndarray, num_classes: int
    ) -> Counts:
        logits = sample['seg_logits']['data'].float().cpu().numpy()
        counts = calibration_counts(
            confidence(logits), prediction, truth, num_classes, **self.sizes
        )
        return dict(calibration=counts)

    def scores(self, total: Counts) -> dict[str, float]:
        self.total = total['calibration']
        print_log(f'calibration\n{calibration_table({"": self.total})}', logger='current')
        errors = zip(
            REGIONS,
            expected_calibration_error(self.total),
            overconfidence(self.total),
            strict=True,
        )
        scores = {}
        for region, error, over in errors:
            scores[f'{region}_ECE'] = round(float(error), 4)
            scores[f'{region}_overconfidence'] = round(float(over), 4)
        return scores
