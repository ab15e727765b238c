"""Pictures of labels, weights, losses and predictions."""

from .inspection import (
    boundary_loss,
    inspect_sample,
    last_head,
    pixel_loss,
    pixel_loss_name,
    spaced_indices,
    weigh_sample,
    weight_name,
)
from .panels import PanelRow, paint, panel_figure
from .paper import edge_figure, loss_figure, qualitative_figure
from .weights import WeightSample, weight_figure

__all__ = [
    'PanelRow',
    'WeightSample',
    'boundary_loss',
    'edge_figure',
    'inspect_sample',
    'last_head',
    'loss_figure',
    'paint',
    'panel_figure',
    'pixel_loss',
    'pixel_loss_name',
    'qualitative_figure',
    'spaced_indices',
    'weigh_sample',
    'weight_figure',
    'weight_name',
]
