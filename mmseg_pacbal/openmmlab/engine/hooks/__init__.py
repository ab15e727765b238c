"""Training hooks, registered in MMSegmentation's HOOKS."""

from .boundary_visualization_hook import BoundaryVisualizationHook
from .checkpoint_hook import AtomicCheckpointHook
from .main_process_logger_hook import MainProcessLoggerHook
from .preemption_hook import PreemptionHook

__all__ = [
    'AtomicCheckpointHook',
    'BoundaryVisualizationHook',
    'MainProcessLoggerHook',
    'PreemptionHook',
]
