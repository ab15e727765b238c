"""Pyramid Atrous Convolution and Boundary-aware Loss for MMSegmentation."""

from . import compat

compat.apply()  # before anything of OpenMMLab is imported

from . import openmmlab  # noqa: E402 (importing registers)
from .configs import config, register_scheme  # noqa: E402
from .layers import PyramidAtrousConv  # noqa: E402
from .losses import BoundaryAwareLoss  # noqa: E402
from .openmmlab.engine.hooks import BoundaryVisualizationHook  # noqa: E402
from .openmmlab.heads import PACHead  # noqa: E402
from .openmmlab.inference import init_inferencer  # noqa: E402
from .openmmlab.metrics import BoundaryMetric  # noqa: E402
from .ops import boundary_weight_map, pyramid_atrous_conv2d  # noqa: E402
from .version import __version__  # noqa: E402

register_scheme()

__all__ = [
    'BoundaryAwareLoss',
    'BoundaryMetric',
    'BoundaryVisualizationHook',
    'PACHead',
    'PyramidAtrousConv',
    '__version__',
    'boundary_weight_map',
    'config',
    'init_inferencer',
    'openmmlab',
    'pyramid_atrous_conv2d',
]
