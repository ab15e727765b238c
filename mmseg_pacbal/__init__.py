"""Pyramid Atrous Convolution and Boundary-aware Loss for MMSegmentation."""

from . import compat

compat.apply()  # before anything of OpenMMLab is imported

from . import datasets, engine, evaluation, hooks, models  # noqa: E402 (importing registers)
from .evaluation import BoundaryMetric  # noqa: E402
from .hooks import BoundaryVisualizationHook  # noqa: E402
from .inference import init_inferencer  # noqa: E402
from .models import BoundaryAwareLoss, PACHead, PyramidAtrousConv  # noqa: E402
from .ops import boundary_weight_map, pyramid_atrous_conv2d  # noqa: E402
from .paths import config, register_scheme  # noqa: E402
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
    'datasets',
    'engine',
    'evaluation',
    'hooks',
    'init_inferencer',
    'models',
    'pyramid_atrous_conv2d',
]
