"""Metrics that show what mIoU hides, registered in MMSegmentation's METRICS."""

from .boundary_metric import BoundaryMetric
from .calibration_metric import CalibrationMetric
from .hard_region_metric import HardRegionMetric

__all__ = ['BoundaryMetric', 'CalibrationMetric', 'HardRegionMetric']
