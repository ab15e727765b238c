"""Pyramid Atrous Convolution and Boundary-aware Loss.

On torch alone: :func:`boundary_weight_map`, :func:`pyramid_atrous_conv2d`,
:class:`PyramidAtrousConv`, :class:`BoundaryAwareLoss` and, with torchmetrics,
:class:`BoundaryQuality`. Where MMSegmentation is installed, importing this package also registers
the head, the losses, the metrics and all else that configs name. Torch and OpenMMLab take seconds
to import, so both wait until they are needed: see :mod:`.registration`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .errors import has_mmseg, require_mmseg
from .version import __version__

if TYPE_CHECKING:
    from . import openmmlab as openmmlab
    from .configs import config as config
    from .layers import PyramidAtrousConv as PyramidAtrousConv
    from .losses import BoundaryAwareLoss as BoundaryAwareLoss
    from .metrics import BoundaryQuality as BoundaryQuality
    from .openmmlab.engine.hooks import BoundaryVisualizationHook as BoundaryVisualizationHook
    from .openmmlab.heads import PACHead as PACHead
    from .openmmlab.inference import init_inferencer as init_inferencer
    from .openmmlab.metrics import BoundaryMetric as BoundaryMetric
    from .ops import boundary_weight_map as boundary_weight_map
    from .ops import pyramid_atrous_conv2d as pyramid_atrous_conv2d

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
# Name: the module that has it.
_CORE = {
    'BoundaryAwareLoss': 'losses',
    'BoundaryQuality': 'metrics',
    'PyramidAtrousConv': 'layers',
    'boundary_weight_map': 'ops',
    'pyramid_atrous_conv2d': 'ops',
}
_PLUGIN = {
    'BoundaryMetric': 'openmmlab.metrics',
    'BoundaryVisualizationHook': 'openmmlab.engine.hooks',
    'PACHead': 'openmmlab.heads',
    'config': 'configs',
    'init_inferencer': 'openmmlab.inference',
    'openmmlab': '',
}


def __dir__() -> list[str]:
    return sorted({*globals(), *_CORE, *__all__})


def __getattr__(name: str) -> object:
    if name in _PLUGIN:
        require_mmseg(f'mmseg_pacbal.{name}')
    if home := (_CORE | _PLUGIN).get(name):
        return getattr(import_module(f'.{home}', __name__), name)
    if name == 'openmmlab' or name in _CORE.values():
        return import_module(f'.{name}', __name__)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


if has_mmseg():
    from .registration import register_with_openmmlab

    register_with_openmmlab()
else:
    __all__ = [name for name in __all__ if name not in _PLUGIN]
