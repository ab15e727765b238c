"""Studies: comparisons of configs over several seeds (docs/study_plan.md)."""

from .plan import Run, Study, load_study, plan_runs
from .records import read_records
from .report import PRIMARY, full_report, to_csv
from .runner import DevicePool, RayPool, StudyRunner
from .summary import metrics_of, summarise

__all__ = [
    'PRIMARY',
    'DevicePool',
    'RayPool',
    'Run',
    'Study',
    'StudyRunner',
    'full_report',
    'load_study',
    'metrics_of',
    'plan_runs',
    'read_records',
    'summarise',
    'to_csv',
]
