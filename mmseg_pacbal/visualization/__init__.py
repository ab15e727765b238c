"""Pictures of labels, weights, losses and predictions."""

from .calibration import reliability_plot
from .panels import PanelRow, paint, panel_figure
from .paper import comparison_figure, edge_figure, loss_figure, qualitative_figure
from .regions import region_chart
from .weights import WeightSample, weight_figure

__all__ = [
    'PanelRow',
    'WeightSample',
    'comparison_figure',
    'edge_figure',
    'loss_figure',
    'paint',
    'panel_figure',
    'qualitative_figure',
    'region_chart',
    'reliability_plot',
    'weight_figure',
]
