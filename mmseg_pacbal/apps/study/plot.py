"""Plot of a study."""

from typing import Any

from matplotlib.figure import Figure

from .summary import Summary


def study_figure(summaries: dict[str, list[Summary]], baseline: str) -> Figure:
    """Differences to the baseline with their 95 % intervals, a panel for each metric.

    Args:
        summaries: Of each metric, rows in the order of the study.
        baseline: The row they are compared with.
    """
    names = [s.row for s in next(iter(summaries.values())) if s.row != baseline]
    figure = Figure(
        figsize=(3.2 * len(summaries) + 1.2, 0.42 * len(names) + 1.5), layout='constrained'
    )
    panels = figure.subplots(1, len(summaries), sharey=True, squeeze=False)[0]
    for panel, (metric, rows) in zip(panels, summaries.items(), strict=True):
        for s in rows:
            found = s.paired
            if found.difference is None:
                continue
            y = names.index(s.row)
            error = None
            if found.low is not None and found.high is not None:
                error = [[found.difference - found.low], [found.high - found.difference]]
            panel.errorbar(found.difference, y, xerr=error, fmt='o', color='tab:blue', capsize=3)
            if s.reported_difference is not None:
                panel.plot(s.reported_difference, y, 'D', mfc='none', color='tab:orange')
        panel.axvline(0, color='0.6', linewidth=0.8)
        panel.set_title(metric, fontsize=10)
        panel.set_xlabel(f'points above {baseline}', fontsize=9)
        panel.tick_params(labelsize=9)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    _legend(figure, any(s.reported_difference is not None for r in summaries.values() for s in r))
    return figure


def _legend(figure: Figure, reported: bool) -> None:
    panel = figure.axes[0]
    measured = panel.errorbar([], [], xerr=[], fmt='o', color='tab:blue', capsize=3)
    handles: list[Any] = [measured]  # the annotations of legend() know of no error bars
    labels = ['measured, 95 % interval over paired seeds']
    if reported:
        handles += panel.plot([], [], 'D', mfc='none', color='tab:orange')
        labels.append('reported by the paper on VOC 2012 (mIoU)')
    figure.legend(handles, labels, loc='outside lower center', ncols=2, fontsize=8, frameon=False)
