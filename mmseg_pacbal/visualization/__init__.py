"""Pictures of labels, weights, losses and predictions."""

from .inspection import inspect_sample
from .panels import PanelRow, paint, panel_figure

__all__ = ['PanelRow', 'inspect_sample', 'paint', 'panel_figure']
