"""All that touches OpenMMLab; importing it registers what configs name."""

from . import datasets, engine, heads, losses, metrics

__all__ = ['datasets', 'engine', 'heads', 'losses', 'metrics']
