"""Training hooks, registered in MMSegmentation's HOOKS."""

from .boundary_visualization_hook import BoundaryVisualizationHook
from .main_process_logger_hook import MainProcessLoggerHook

__all__ = ['BoundaryVisualizationHook', 'MainProcessLoggerHook']
