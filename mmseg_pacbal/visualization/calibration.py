"""The reliability plot of one or more models."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..metrics.calibration import REGIONS
from ..metrics.calibration_report import Totals


def reliability_plot(totals: Totals) -> Figure:
    """Accuracy over confidence, a panel for each region and a line for each model.

    On the diagonal a model is as often right as it says; below it is overconfident.
    """
    figure = Figure(figsize=(3.3 * len(REGIONS), 4.2), layout='compressed')
    panels = figure.subplots(1, len(REGIONS), sharex=True, sharey=True)
    for r, (panel, region) in enumerate(zip(panels, REGIONS, strict=True)):
        panel.plot([0, 1], [0, 1], color='0.6', linewidth=0.8)
        for name, total in totals.items():
            _line(panel, name, total[r])
        panel.set(title=region, xlabel='confidence', aspect='equal', xlim=(0, 1), ylim=(0, 1))
    panels[0].set_ylabel('accuracy')
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=2, frameon=False)
    return figure


def _line(panel: Axes, name: str, counts: np.ndarray) -> None:
    pixels, right, confidences = counts
    filled = pixels > 0
    x, y = (values[filled] / pixels[filled] for values in (confidences, right))
    panel.plot(x, y, 'o-', markersize=3, label=name)
