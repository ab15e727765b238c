from .deployment import prepare_export
from .pyramid_atrous_conv import PyramidAtrousConv

__all__ = ['PyramidAtrousConv', 'prepare_export']
