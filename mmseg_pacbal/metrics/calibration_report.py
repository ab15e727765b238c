"""Tables of how well one or more models are calibrated.

``totals`` maps the name of a model to its counts over the data set, (R, 3, M), as
:func:`calibration_counts` gives them; the regions, in this order, are ``REGIONS``.
"""

import csv
import io

import numpy as np

from ..markdown import to_markdown
from .calibration import REGIONS, expected_calibration_error, overconfidence
from .label_counts import ratio_or_nan

Totals = dict[str, np.ndarray]


def calibration_table(totals: Totals) -> str:
    """Markdown, a line for each model and region; errors are shares, as usual, not per cent."""
    head = ['model', 'region', 'accuracy', 'mean confidence', 'ECE', 'overconfidence']
    lines = []
    for name, total in totals.items():
        pixels, right, confidences = total.sum(axis=-1).T
        values = (
            *(ratio_or_nan(right, pixels), ratio_or_nan(confidences, pixels)),
            *(expected_calibration_error(total), overconfidence(total)),
        )
        for region, accuracy, mean, ece, over in zip(REGIONS, *values, strict=True):
            cells = [f'{accuracy:.4f}', f'{mean:.4f}', f'{ece:.4f}', f'{over:+.4f}']
            lines.append([name, region, *cells])
    return to_markdown(head, lines, left=2)


def calibration_csv(totals: Totals) -> str:
    """A line for each model, region and bin: its upper end, pixels, accuracy, mean confidence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['model', 'region', 'up to', 'pixels', 'accuracy', 'confidence'])
    for name, total in totals.items():
        bins = total.shape[-1]
        for region, (pixels, right, confidences) in zip(REGIONS, total, strict=True):
            shares = zip(
                ratio_or_nan(right, pixels), ratio_or_nan(confidences, pixels), strict=True
            )
            for m, scores in enumerate(shares):
                cells = ('' if np.isnan(s) else f'{s:.4f}' for s in scores)
                writer.writerow([name, region, f'{(m + 1) / bins:.4f}', int(pixels[m]), *cells])
    return text.getvalue()
