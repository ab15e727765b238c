"""Pictures of labels, weights, losses and predictions."""

from .charts import region_chart, reliability_plot, training_curves
from .panels import PanelRow, WeightSample, paint, panel_figure, weight_figure, with_legend
from .paper import comparison_figure, edge_figure, loss_figure, qualitative_figure

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
    'training_curves',
    'weight_figure',
    'with_legend',
]
