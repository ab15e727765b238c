"""Measures of what mIoU hides, registered in MMSegmentation's METRICS."""

from .boundary_metric import BoundaryMetric

__all__ = ['BoundaryMetric']
