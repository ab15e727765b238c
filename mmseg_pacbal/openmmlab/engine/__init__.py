"""Training that may be interrupted at any moment and goes on as if it had not been."""

from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.hooks import CheckpointHook
from mmengine.runner import IterBasedTrainLoop

from .hooks.checkpoint_hook import AtomicCheckpointHook
from .resume import find_checkpoints, last_whole_checkpoint, resume_from
from .seeding import SeededDataset, SeededSampler, derived_seed
from .train_loop import ResumableTrainLoop

__all__ = [
    'AtomicCheckpointHook',
    'ResumableTrainLoop',
    'SeededDataset',
    'SeededSampler',
    'derived_seed',
    'find_checkpoints',
    'last_whole_checkpoint',
    'make_resumable',
    'resume_from',
]


def make_resumable(cfg: Config) -> None:
    """Put this package's loop and checkpoint hook where a config has mmengine's, in place.

    Loops, samplers and hooks of another kind are the user's own and stay.
    """
    loop, loader = cfg.train_cfg, cfg.train_dataloader
    plain_order = _is(loader.sampler, InfiniteSampler) and 'seed' not in loader.sampler
    if _is(loop, IterBasedTrainLoop) and plain_order and 'batch_sampler' not in loader:
        loop.type = 'ResumableTrainLoop'
    hook = cfg.get('default_hooks', {}).get('checkpoint', {})
    if _is(hook, CheckpointHook):
        hook.type = 'AtomicCheckpointHook'


def _is(part: dict, cls: type) -> bool:
    return part.get('type') in (cls, cls.__name__)
