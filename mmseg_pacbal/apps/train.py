"""Train a segmentation model."""

import argparse
from contextlib import nullcontext
from pathlib import Path

from mmengine.config import Config
from mmseg.registry import MODELS

from ..configs import is_first_process
from ..openmmlab.checkpoint_checks import check_checkpoint, check_initial_weights
from ..openmmlab.completion import load_complete_config, only_here
from ..openmmlab.data_checks.loaders import check_data, examine_data
from ..openmmlab.data_checks.samples import attempt, report, verdict
from ..openmmlab.data_checks.suggestions import suggest
from ..openmmlab.engine import (
    build_runner,
    changed_settings,
    latest_intact_checkpoint,
    resume_from,
    use_amp_in_training,
)
from ..openmmlab.engine.processes import start_processes, stopped_by_signals
from ..openmmlab.engine.runner import unwrapped
from ..openmmlab.engine.work_dir import locked
from ..openmmlab.feature_checks import check_features, explained_heads
from ..openmmlab.losses import check_losses
from . import cli
from .refusals import earlier_run

LOADERS = ('train_dataloader', 'val_dataloader')


def main(args: argparse.Namespace) -> None:
    cfg = load_complete_config(args.config, args.cfg_options)
    if args.check:
        with explained_heads(cfg):
            model = MODELS.build(cfg.model)  # a wrong argument of head or loss ends it here
        check_losses(model)
        check_features(model)
        problems, images = examine_data(cfg, *LOADERS)
        attempt(problems, check_initial_weights, model, cfg.get('load_from'))
        report([*map(cli.with_flags, problems)])
        suggest(cfg)
        if ours := only_here(cfg, args.config, args.cfg_options):
            print(f"only with our tools, not with MMSegmentation's own: {', '.join(ours)}")
        print(verdict(images, model.num_classes))
        return
    cfg.work_dir = cli.work_dir(args, cfg)
    check_data(cfg, *LOADERS)  # before the work dir is made
    lock = locked(cfg.work_dir) if is_first_process(args.launcher) else nullcontext()
    with stopped_by_signals(), lock:
        train(args, cfg)


def train(args: argparse.Namespace, cfg: Config) -> None:
    checkpoint = find_start(args, cfg.work_dir)
    cfg.resume = False
    if args.amp:
        use_amp_in_training(cfg)
    start_processes(cfg, args.launcher, args.local_rank)
    with explained_heads(cfg):
        runner = build_runner(cfg)
    model = unwrapped(runner)
    check_losses(model)
    check_features(model)
    if checkpoint:
        saved = check_checkpoint(model, checkpoint, resume=True)[1].get('cfg')
        now = runner.cfg.pretty_text
        for change in changed_settings(saved, now) if isinstance(saved, str) else ():
            print(f'config: not as in the checkpoint: {change}')
        resume_from(runner, checkpoint)
    else:
        check_initial_weights(model, cfg.get('load_from'))
    runner.train()


def find_start(args: argparse.Namespace, work_dir: str) -> str | Path | None:
    """The checkpoint to continue from, None for a new run."""
    if args.resume:
        chosen = (args.cfg_options or {}).get('load_from')  # as MMSegmentation chooses one
        checkpoint = chosen or latest_intact_checkpoint(work_dir)
        if checkpoint is None:
            print(f'{work_dir} holds no checkpoint to continue from: a new run is started')
        return checkpoint
    earlier_run(work_dir)
    return None
