"""Pyramid Atrous Convolution and Boundary-aware Loss.

On torch alone: :func:`boundary_weight_map`, :func:`pyramid_atrous_conv2d`,
:class:`PyramidAtrousConv`, :class:`BoundaryAwareLoss` and, with torchmetrics,
:class:`BoundaryQuality`. Where MMSegmentation is installed, importing this package also registers
the head, the losses, the metrics and all else that configs name.
"""

from typing import TYPE_CHECKING

from .errors import has_mmseg, require_mmseg
from .layers import PyramidAtrousConv
from .losses import BoundaryAwareLoss
from .ops import boundary_weight_map, pyramid_atrous_conv2d
from .version import __version__

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
_PLUGIN_NAMES = {name for name in __all__ if name not in globals()}

if TYPE_CHECKING:
    from .metrics import BoundaryQuality as BoundaryQuality
else:

    def __dir__() -> list[str]:
        return sorted({*globals(), 'BoundaryQuality'})

    def __getattr__(name: str) -> object:
        if name == 'BoundaryQuality':  # late, since importing torchmetrics takes long
            from .metrics import BoundaryQuality

            return BoundaryQuality
        if name in _PLUGIN_NAMES:
            require_mmseg(f'mmseg_pacbal.{name}')
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


if has_mmseg():
    from . import compat

    compat.apply()  # before anything of OpenMMLab is imported

    from . import openmmlab  # importing registers
    from .configs import config, register_scheme
    from .openmmlab.engine.hooks import BoundaryVisualizationHook
    from .openmmlab.heads import PACHead
    from .openmmlab.inference import init_inferencer
    from .openmmlab.metrics import BoundaryMetric

    register_scheme()
else:
    __all__ = [name for name in __all__ if name not in _PLUGIN_NAMES]
