"""Pure tensor functions. They import torch and nothing of OpenMMLab."""

from . import flops  # noqa: F401 (tells torch's counter)
from .border_weight import border_weight_map
from .boundary_weight import boundary_edges, boundary_weight_map, check_boundary_weight_args
from .lean_cross_entropy import lean_cross_entropy
from .pyramid_atrous_conv import available_backends, pyramid_atrous_conv2d

__all__ = [
    'available_backends',
    'border_weight_map',
    'boundary_edges',
    'boundary_weight_map',
    'check_boundary_weight_args',
    'lean_cross_entropy',
    'pyramid_atrous_conv2d',
]
