"""Data that the package generates, for examples, demo and tests; without OpenMMLab."""

from .synthetic_scenes import SyntheticScenes

__all__ = ['SyntheticScenes']
