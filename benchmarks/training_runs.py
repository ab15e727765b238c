"""Training runs whose parts are timed: MMSegmentation's own, ours, and ours with ``LeanHead``."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmseg.models.decode_heads import decode_head

from benchmarks.records import ROOT
from benchmarks.stopwatch import REST, Stopwatch
from mmseg_pacbal.configs import walk
from mmseg_pacbal.losses import PixelLoss, boundary_aware_loss
from mmseg_pacbal.openmmlab.data_checks import pipeline
from mmseg_pacbal.openmmlab.data_checks.pipeline import base_datasets
from mmseg_pacbal.openmmlab.engine import build_runner, seeding, train_loop
from mmseg_pacbal.openmmlab.engine.hooks import PreemptionHook
from mmseg_pacbal.openmmlab.heads import head_losses

STOCK, OURS, LEAN = RUNS = ('MMSegmentation', 'ours', 'ours, LeanHead')
CONFIGS = {STOCK: 'deeplabv3_voc.py', OURS: 'pac_bal_voc.py', LEAN: 'pac_bal_voc.py'}
# As in PASCAL VOC.
DATA = dict(num_train=64, num_val=1, size=(375, 500), seed=0)

READING, TRANSFORMS, BATCHES = 'reading files', 'transforms', 'making batches'
DATA_CHECKS, LABEL_CHECKS, SEEDING = 'checks of the data', 'checks of the labels', 'seeding'
PREEMPTION = 'asking whether to stop'
TRANSFER, FORWARD, LOSS, BACKWARD = 'transfer', 'forward', 'loss', 'backward'
WEIGHTS, ACCURACY, UPDATE, HOOKS = 'weight map', 'accuracy', 'update', 'hooks'
PHASES = (
    *(READING, DATA_CHECKS, TRANSFORMS, SEEDING, BATCHES, TRANSFER, FORWARD),
    *(LOSS, LABEL_CHECKS, WEIGHTS, ACCURACY, BACKWARD, UPDATE, HOOKS, PREEMPTION, REST),
)


def started(name: str, folder: Path, device: str, crop: int, batch: int) -> Runner:
    """A runner that is ready for its first step: all is built, and training has begun."""
    runner = (Runner.from_cfg if name == STOCK else build_runner)(
        run_config(name, folder, device, crop, batch)
    )
    loop = runner.train_loop

    def begin() -> None:
        runner.call_hook('before_train')
        runner.call_hook('before_train_epoch')
        runner.model.train()

    with patch.object(loop, 'run', begin):
        runner.train()
    return runner


def run_config(name: str, folder: Path, device: str, crop: int, batch: int) -> Config:
    """The config of a run: that of the model zoo, on generated data, without workers."""
    cfg = Config.fromfile(ROOT / 'configs' / CONFIGS[name])
    cfg.merge_from_dict(
        dict(
            work_dir=str(folder / name),
            experiment_name=name,
            log_level='ERROR',
            randomness=dict(seed=0),
            model=dict(pretrained=None, data_preprocessor=dict(size=(crop, crop))),
            train_dataloader=dict(batch_size=batch, num_workers=0, persistent_workers=False),
        )
    )
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator'):
        cfg[key] = cfg[key.replace('val', 'test', 1)] = None
    for _, node in walk(cfg._cfg_dict):
        if node.get('type') == 'SyncBN':
            node.type = 'BN'  # one process
        if node.get('type') == 'PascalVOCDataset':
            node |= dict(type='SyntheticVOCDataset', data_root=str(folder / 'VOC2012'))
            node.generate = DATA
        if 'crop_size' in node and 'type' in node:
            node.crop_size = (crop, crop)
    if device == 'cpu':
        cfg.model_wrapper_cfg = None
    if name == STOCK:
        _use_stock_parts(cfg)
    if name == LEAN:
        head = cfg.model.decode_head
        cfg.model.decode_head = dict(head, type='LeanHead', head=head.type)
    return cfg


def _use_stock_parts(cfg: Config) -> None:
    """What MMSegmentation names in its own configs, in place of what ours name."""
    cfg.pop('runner_type')
    cfg.train_cfg.type = 'IterBasedTrainLoop'
    cfg.train_dataloader.sampler.type = 'InfiniteSampler'
    cfg.default_hooks.checkpoint.type = 'CheckpointHook'
    cfg.default_hooks.logger.type = 'LoggerHook'
    cfg.default_hooks.pop('preemption')


def step_of(runner: Runner) -> Callable[[int], None]:
    """One iteration as the runner's loop runs it."""
    loop = runner.train_loop

    def step(round_: int) -> None:
        runner.model.train()
        loop.run_iter(next(loop.dataloader_iterator))

    return step


def checkpoint_hook(runner: Runner) -> CheckpointHook:
    return next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))


def watch_run(watch: Stopwatch, runner: Runner) -> None:
    """Charge the parts of a run to their phases."""
    loop, model, head = runner.train_loop, runner.model, runner.model.decode_head
    loop.dataloader_iterator = _timed_iterator(watch, loop.dataloader_iterator)
    for dataset in base_datasets(loop.dataloader.dataset):
        steps = dataset.pipeline.transforms
        steps[:] = [
            watch.timed(step, READING if type(step).__name__.startswith('Load') else TRANSFORMS)
            for step in steps
        ]
    watch.watch(model.data_preprocessor, 'forward', TRANSFER)
    watch.watch(model, 'extract_feat', FORWARD)
    watch.watch(head, 'forward', FORWARD)
    watch_loss(watch, head)
    watch.watch(runner.optim_wrapper, 'backward', BACKWARD)
    watch.watch(runner.optim_wrapper, 'step', UPDATE)
    watch.watch(runner.optim_wrapper, 'zero_grad', UPDATE)
    watch.watch(runner, 'call_hook', HOOKS)
    for hook in runner.hooks:
        if isinstance(hook, PreemptionHook):
            watch.watch(hook, 'after_train_iter', PREEMPTION)


def watch_loss(watch: Stopwatch, head: decode_head.BaseDecodeHead) -> None:
    """Charge a head's loss, and the check of labels inside it, to their phases."""
    watch.watch(head, 'loss_by_feat', LOSS)
    for module in (head, *head_losses(head)):
        if isinstance(module, PixelLoss) or hasattr(module, '_check_label'):
            watch.watch(module, '_check_label', LABEL_CHECKS)


def _timed_iterator(watch: Stopwatch, batches: Iterator) -> Iterator:
    while True:
        with watch.phase(BATCHES):
            batch = next(batches)
        yield batch


@contextmanager
def watched_functions(watch: Stopwatch) -> Iterator[None]:
    """Charge functions that no object owns to their phases, inside the block."""
    places = [
        (decode_head, 'accuracy', ACCURACY),
        (boundary_aware_loss, 'shared_weight_map', WEIGHTS),
        (pipeline, 'sample_of', DATA_CHECKS),
        (pipeline, 'check_size', DATA_CHECKS),
        (pipeline, 'check_values', DATA_CHECKS),
        (seeding, 'seed_cpu', SEEDING),
        (seeding, 'derived_seed', SEEDING),
        (train_loop, 'seed_iteration', SEEDING),
    ]
    with ExitStack() as stack:
        for module, name, phase in places:
            timed = watch.timed(getattr(module, name), phase)
            stack.enter_context(patch.object(module, name, timed))
        yield
