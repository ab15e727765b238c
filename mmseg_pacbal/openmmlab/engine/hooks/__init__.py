"""Training hooks, registered in MMSegmentation's HOOKS."""

from .boundary_visualization_hook import BoundaryVisualizationHook
from .channels_last_hook import ChannelsLastHook
from .checkpoint_hook import AtomicCheckpointHook
from .frozen_statistics_hook import FrozenStatisticsHook
from .loss_switch_hook import LossSwitchHook
from .main_process_logger_hook import MainProcessLoggerHook
from .preemption_hook import PreemptionHook

__all__ = [
    'AtomicCheckpointHook',
    'BoundaryVisualizationHook',
    'ChannelsLastHook',
    'FrozenStatisticsHook',
    'LossSwitchHook',
    'MainProcessLoggerHook',
    'PreemptionHook',
]
