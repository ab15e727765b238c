"""Training hooks, registered in MMSegmentation's HOOKS."""

from .boundary_visualization_hook import BoundaryVisualizationHook

__all__ = ['BoundaryVisualizationHook']
