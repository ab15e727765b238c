"""What one or two models get right in each region, as a chart."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..metrics.hard_regions import REGIONS
from ..metrics.region_report import MEASURES, Totals, pixel_share


def region_chart(totals: Totals) -> Figure:
    """Bars of mIoU and of mean accuracy, one for each region and model."""
    figure = Figure(figsize=(8, 6), layout='constrained')
    panels = figure.subplots(2, 1, sharex=True)
    for panel, measure in zip(panels, ('mIoU', 'mAcc'), strict=True):
        _bars(panel, {name: MEASURES[measure](total) for name, total in totals.items()})
        panel.set_ylabel(f'{measure}, %')
    shares = pixel_share(next(iter(totals.values())))
    labels = [f'{r}\n{s:.1f} % of pixels' for r, s in zip(REGIONS, shares, strict=True)]
    panels[-1].set_xticks(range(len(REGIONS)), labels, fontsize=8)
    figure.legend(*panels[0].get_legend_handles_labels(), loc='outside upper center', ncols=2)
    return figure


def _bars(panel: Axes, scores: dict[str, np.ndarray]) -> None:
    width = 0.8 / len(scores)
    for i, (name, values) in enumerate(scores.items()):
        x = np.arange(len(values)) + (i - (len(scores) - 1) / 2) * width
        bars = panel.bar(x, values, width, label=name)
        panel.bar_label(bars, fmt='%.1f', fontsize=8, padding=1)
    panel.set_ylim(0, 109)  # room for the figure above a bar
    panel.spines[['top', 'right']].set_visible(False)
