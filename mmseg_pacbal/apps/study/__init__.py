"""Studies: comparisons of configs over several seeds."""

from .execution import Workplace
from .plan import Run, Study, load_study, plan_runs
from .plot import study_figure
from .pools import DevicePool, RayPool, device_groups
from .records import read_records
from .report import (
    PRIMARY,
    REPORTED,
    Summary,
    full_report,
    markdown,
    metrics_of,
    summarise,
    to_csv,
)
from .runner import StudyRunner

__all__ = [
    'PRIMARY',
    'REPORTED',
    'DevicePool',
    'RayPool',
    'Run',
    'Study',
    'StudyRunner',
    'Summary',
    'Workplace',
    'device_groups',
    'full_report',
    'load_study',
    'markdown',
    'metrics_of',
    'plan_runs',
    'read_records',
    'study_figure',
    'summarise',
    'to_csv',
]
