"""Pictures of labels, weights, losses and predictions."""

from .inspection import inspect_sample
from .panels import PanelRow, paint, panel_figure
from .weights import WeightSample, weight_figure

__all__ = [
    'PanelRow',
    'WeightSample',
    'inspect_sample',
    'paint',
    'panel_figure',
    'weight_figure',
]
