"""Training that may be interrupted at any moment and continues as if it had not been.

Configs name its parts, as ``configs/_base_/runtime.py`` does; no part is used unless it is named.
"""

from . import hooks
from .resume import find_checkpoints, last_whole_checkpoint, resume_from
from .runner import CheckedRunner, build_runner
from .seeding import SeededDataset, SeededSampler, derived_seed
from .train_loop import ResumableTrainLoop

__all__ = [
    'CheckedRunner',
    'ResumableTrainLoop',
    'SeededDataset',
    'SeededSampler',
    'build_runner',
    'derived_seed',
    'find_checkpoints',
    'hooks',
    'last_whole_checkpoint',
    'resume_from',
]
