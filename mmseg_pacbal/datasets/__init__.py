"""Data that the package generates, for examples, demo and tests; without OpenMMLab."""

from .synthetic_scene import SyntheticScenes

__all__ = ['SyntheticScenes']
