from .pyramid_atrous_conv import PyramidAtrousConv

__all__ = ['PyramidAtrousConv']
