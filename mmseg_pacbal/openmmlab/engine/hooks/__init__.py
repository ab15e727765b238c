"""Training hooks, registered in MMSegmentation's HOOKS."""

from .boundary_visualization_hook import BoundaryVisualizationHook
from .checkpoint_hook import AtomicCheckpointHook
from .curves_hook import CurvesHook
from .preemption_hook import PreemptionHook
from .small_hooks import (
    ChannelsLastHook,
    FrozenStatisticsHook,
    LossSwitchHook,
    MainProcessLoggerHook,
)

__all__ = [
    'AtomicCheckpointHook',
    'BoundaryVisualizationHook',
    'ChannelsLastHook',
    'CurvesHook',
    'FrozenStatisticsHook',
    'LossSwitchHook',
    'MainProcessLoggerHook',
    'PreemptionHook',
]
