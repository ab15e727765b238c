"""What models get right, by region and by confidence, and how a training went."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..metrics.calibration import CALIBRATION_REGIONS
from ..metrics.hard_regions import HARD_REGIONS, MEASURES, pixel_share
from ..metrics.label_counts import Totals


def reliability_plot(totals: Totals) -> Figure:
    """Accuracy over confidence, a panel for each region and a line for each model.

    On the diagonal a model is as often right as it says; below it is overconfident.
    """
    figure = Figure(figsize=(3.3 * len(CALIBRATION_REGIONS), 4.2), layout='compressed')
    panels = figure.subplots(1, len(CALIBRATION_REGIONS), sharex=True, sharey=True)
    for r, (panel, region) in enumerate(zip(panels, CALIBRATION_REGIONS, strict=True)):
        panel.plot([0, 1], [0, 1], color='0.6', linewidth=0.8)
        for name, total in totals.items():
            pixels, *sums = total[r][:, total[r][0] > 0]  # of the bins that are not empty
            accuracy, confidence = (s / pixels for s in sums)
            panel.plot(confidence, accuracy, 'o-', markersize=3, label=name)
        panel.set(title=region, xlabel='confidence', aspect='equal', xlim=(0, 1), ylim=(0, 1))
    panels[0].set_ylabel('accuracy')
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=2, frameon=False)
    return figure


def region_chart(totals: Totals) -> Figure:
    """Bars of mIoU and of mean accuracy, one for each region and model."""
    figure = Figure(figsize=(8, 6), layout='constrained')
    panels = figure.subplots(2, 1, sharex=True)
    for panel, measure in zip(panels, ('mIoU', 'mAcc'), strict=True):
        _bars(panel, {name: MEASURES[measure](total) for name, total in totals.items()})
        panel.set_ylabel(f'{measure}, %')
    shares = pixel_share(next(iter(totals.values())))
    labels = [f'{r}\n{s:.1f} % of pixels' for r, s in zip(HARD_REGIONS, shares, strict=True)]
    panels[-1].set_xticks(range(len(HARD_REGIONS)), labels, fontsize=8)
    figure.legend(*panels[0].get_legend_handles_labels(), loc='outside upper center', ncols=2)
    return figure


def training_curves(
    losses: Mapping[int, float], scores: Mapping[str, Mapping[int, float]], per: str = 'iteration'
) -> Figure:
    """The loss of a training by iteration and, below it, scores in % by iteration or epoch.

    Args:
        losses: By iteration.
        scores: By name; each by iteration or epoch. Without any there is one panel.
        per: What scores are by.
    """
    figure = Figure(figsize=(7, 6 if scores else 3.5), layout='constrained')
    panels = figure.subplots(2 if scores else 1, squeeze=False)[:, 0]
    panels[0].plot([*losses], [*losses.values()])
    panels[0].set(xlabel='iteration', ylabel='loss')
    for name, values in scores.items():
        panels[-1].plot([*values], [*values.values()], 'o-', markersize=4, label=name)
    if scores:
        panels[-1].set(xlabel=per, ylabel='%')
        panels[-1].legend(frameon=False)
    for panel in panels:
        panel.grid(color='0.9')
        panel.spines[['top', 'right']].set_visible(False)
    return figure


def _bars(panel: Axes, scores: dict[str, np.ndarray]) -> None:
    width = 0.8 / len(scores)
    for i, (name, values) in enumerate(scores.items()):
        x = np.arange(len(values)) + (i - (len(scores) - 1) / 2) * width
        bars = panel.bar(x, values, width, label=name)
        panel.bar_label(bars, fmt='%.1f', fontsize=8, padding=1)
    panel.margins(y=0.09)  # room for the figure above a bar, which begins at 0
    panel.spines[['top', 'right']].set_visible(False)
