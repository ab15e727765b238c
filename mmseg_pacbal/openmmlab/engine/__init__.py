"""Training that may be interrupted at any moment and continues as if it had not been.

Configs name its parts, as ``configs/_base_/runtime.py`` does; no part is used unless it is named.
"""

from . import hooks
from .checkpoints import (
    changed_settings,
    find_checkpoints,
    last_whole_checkpoint,
    latest_intact_checkpoint,
    resume_from,
)
from .mixed_precision import (
    BFloat16OptimWrapper,
    inference_autocast,
    use_amp_in_testing,
    use_amp_in_training,
)
from .runner import CheckedRunner, build_runner
from .seeding import SeededDataset, SeededSampler, derived_seed
from .train_loop import ResumableTrainLoop

__all__ = [
    'BFloat16OptimWrapper',
    'CheckedRunner',
    'ResumableTrainLoop',
    'SeededDataset',
    'SeededSampler',
    'build_runner',
    'changed_settings',
    'derived_seed',
    'find_checkpoints',
    'hooks',
    'inference_autocast',
    'last_whole_checkpoint',
    'latest_intact_checkpoint',
    'resume_from',
    'use_amp_in_testing',
    'use_amp_in_training',
]
