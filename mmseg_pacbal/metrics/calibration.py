"""Calibration: is a model that is 80 % confident wrong in 20 % of the pixels?

Counts are for one image and are added up over images; scores are computed from the sums. In
reports ``totals`` maps the name of a model to its counts over the data set, (R, 3, M).
"""

import numpy as np

from ..markdown import to_markdown
from .boundary_quality import boundary_band
from .label_counts import Totals, ratio_or_nan, reject_nan, to_csv

CALIBRATION_REGIONS = ('all', 'boundary', 'interior')
STRIP = 2**22  # logits that are taken at once, in float64


def confidence(logits: np.ndarray) -> np.ndarray:
    """The probability of the most likely class: (C, H, W) -> (H, W), float64.

    It is that of the softmax or, with one channel, the larger of the sigmoid's p and 1 - p. k
    infinite logits share it, 1 / k each, which is the limit as equal logits grow; NaN stays NaN.
    """
    if len(logits) == 1:
        logits = np.concatenate([np.zeros_like(logits), logits])
    channels, height, width = logits.shape
    result = np.empty((height, width))
    rows = max(1, STRIP // max(1, channels * width))
    for top in range(0, height, rows):
        strip = logits[:, top : top + rows].astype(np.float64)
        greatest = strip.max(axis=0)
        ties = strip == greatest
        with np.errstate(invalid='ignore'):  # inf - inf
            strip -= greatest
        strip[ties] = 0
        result[top : top + rows] = 1 / np.exp(strip, out=strip).sum(axis=0)
    return result


def calibration_counts(
    confidence: np.ndarray,
    prediction: np.ndarray,
    truth: np.ndarray,
    num_classes: int,
    *,
    bins: int = 15,
    width: int = 8,
) -> np.ndarray:
    """Pixels, correct pixels and summed confidence in each bin of ``CALIBRATION_REGIONS``.

    Bin m of M holds the pixels with a confidence in ((m - 1) / M, m / M]. The boundary consists of
    the pixels at most ``width`` pixels from another label, void included, and the interior of all
    others; void is not in any region.

    Args:
        confidence: Probability of the predicted class, (H, W), from 0 to 1.
        prediction: Classes or void, (H, W), from :func:`class_maps`.
        truth: Classes or void, (H, W), from :func:`class_maps`.
        num_classes: C.
        bins: M.
        width: Width of the boundary, in pixels on either side.

    Returns:
        (R, 3, M) float64; the rows are pixels, correct pixels and the sum of their confidences.

    Raises:
        ValueError: The confidence of a pixel outside void is NaN.
    """
    edges = np.arange(1, bins) / bins
    index = np.searchsorted(edges, confidence)  # edges[i - 1] < confidence <= edges[i]
    valid = truth != num_classes
    reject_nan(np.isnan(confidence) & valid)
    near = boundary_band(truth, width, frame=False)
    counts = [
        [
            np.bincount(index[region], weights, minlength=bins)
            for weights in (None, (prediction == truth)[region], confidence[region])
        ]
        for region in (valid, valid & near, valid & ~near)
    ]
    return np.array(counts, np.float64)


def expected_calibration_error(counts: np.ndarray) -> np.ndarray:
    r"""Mean distance between accuracy and confidence: (..., 3, M) -> (...), NaN without pixels.

    .. math:: ECE = \sum_m \frac{n_m}{n} |acc_m - conf_m|

    (Naeini et al. 2015; Guo et al. 2017, Eq. 3).
    """
    pixels, right, confidences = np.moveaxis(counts, -2, 0)
    return ratio_or_nan(np.abs(right - confidences).sum(axis=-1), pixels.sum(axis=-1))


def overconfidence(counts: np.ndarray) -> np.ndarray:
    """Mean confidence minus accuracy: (..., 3, M) -> (...), below 0 for an underconfident model."""
    pixels, right, confidences = np.moveaxis(counts.sum(axis=-1), -1, 0)
    return ratio_or_nan(confidences - right, pixels)


def calibration_table(totals: Totals) -> str:
    """Markdown, a line for each model and region; errors are shares, as usual, not %."""
    head = ['model', 'region', 'accuracy', 'mean confidence', 'ECE', 'overconfidence']
    lines = []
    for name, total in totals.items():
        pixels, *sums = total.sum(axis=-1).T
        values = [ratio_or_nan(s, pixels) for s in sums]  # accuracy, mean confidence
        values += [expected_calibration_error(total), overconfidence(total)]
        for region, accuracy, mean, ece, over in zip(CALIBRATION_REGIONS, *values, strict=True):
            cells = [f'{accuracy:.4f}', f'{mean:.4f}', f'{ece:.4f}', f'{over:+.4f}']
            lines.append([name, region, *cells])
    return to_markdown(head, lines, left=2)


def calibration_csv(totals: Totals) -> str:
    """A line for each model, region and bin: its upper end, pixels, accuracy, mean confidence."""
    rows = []
    for name, total in totals.items():
        for region, (pixels, *sums) in zip(CALIBRATION_REGIONS, total, strict=True):
            shares = [ratio_or_nan(s, pixels) for s in sums]
            for m, (n, *scores) in enumerate(zip(pixels, *shares, strict=True), 1):
                cells = [f'{score:.4f}' for score in scores]
                rows.append([name, region, f'{m / len(pixels):.4f}', int(n), *cells])
    return to_csv(['model', 'region', 'up to', 'pixels', 'accuracy', 'confidence'], rows)
