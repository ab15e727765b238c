"""Train a segmentation model: python tools/train.py configs/pac_bal_voc.py"""

import mmseg_pacbal.apps  # noqa: F401 (first: it says what to install)

# isort: split
import argparse
from contextlib import nullcontext
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mmseg_pacbal.apps import cli
from mmseg_pacbal.openmmlab.checkpoint_checks import check_checkpoint, check_initial_weights
from mmseg_pacbal.openmmlab.completion import load_complete_config
from mmseg_pacbal.openmmlab.data_checks.loaders import check_data, verify_data
from mmseg_pacbal.openmmlab.data_checks.samples import report
from mmseg_pacbal.openmmlab.engine import (
    build_runner,
    changed_settings,
    find_checkpoints,
    latest_intact_checkpoint,
    resume_from,
    use_amp_in_training,
)
from mmseg_pacbal.openmmlab.engine.processes import is_first, start_processes, stopped_by_signals
from mmseg_pacbal.openmmlab.engine.work_dir import locked

LOADERS = ('train_dataloader', 'val_dataloader')


def parse_args() -> argparse.Namespace:
    parser = cli.parser('Train a segmentation model')
    cli.add_work_dir(parser)
    cli.add_launcher(parser)
    parser.add_argument(
        '--resume',
        action='store_true',
        help='continue from the last intact checkpoint in the work dir; if there is none, start a '
        'new run',
    )
    cli.add_amp(parser)
    parser.add_argument(
        '--check',
        action='store_true',
        help='build the model, read all images and masks of training and validation, list every '
        'problem, and exit',
    )
    return parser.parse_args()


def find_start(args: argparse.Namespace, work_dir: str) -> str | Path | None:
    """The checkpoint to continue from, None for a new run."""
    if args.resume:
        chosen = (args.cfg_options or {}).get('load_from')  # as MMSegmentation chooses one
        checkpoint = chosen or latest_intact_checkpoint(work_dir)
        if checkpoint is None:
            print(f'{work_dir} holds no checkpoint to continue from: a new run is started')
        return checkpoint
    if Path(work_dir, 'last_checkpoint').exists() or find_checkpoints(work_dir):
        raise FileExistsError(
            f'{work_dir} holds checkpoints of an earlier run, which a new one would '
            'overwrite; add --resume to continue it, or give another --work-dir'
        )
    return None


def print_changes(saved: object, now: str) -> None:
    """Say which settings differ from those with which the checkpoint was written."""
    for change in changed_settings(saved, now) if isinstance(saved, str) else ():
        print(f'config: not as in the checkpoint: {change}')


def main(args: argparse.Namespace) -> None:
    cfg = load_complete_config(args.config, args.cfg_options)
    if args.check:
        init_default_scope(cfg.get('default_scope', 'mmseg'))
        MODELS.build(cfg.model)  # a wrong argument of the loss ends it here
        return report([*map(cli.with_flags, verify_data(cfg, *LOADERS))])
    cfg.work_dir = cli.work_dir(args, cfg)
    check_data(cfg, *LOADERS)  # before the work dir is made
    lock = locked(cfg.work_dir) if is_first(args.launcher) else nullcontext()
    with stopped_by_signals(), lock:
        train(args, cfg)


def train(args: argparse.Namespace, cfg: Config) -> None:
    checkpoint = find_start(args, cfg.work_dir)
    cfg.resume = False
    if args.amp:
        use_amp_in_training(cfg)
    start_processes(cfg, args.launcher, args.local_rank)
    runner = build_runner(cfg)
    model = getattr(runner.model, 'module', runner.model)
    if checkpoint:
        meta = check_checkpoint(model, checkpoint, resume=True)
        print_changes(meta.get('cfg'), runner.cfg.pretty_text)
        resume_from(runner, checkpoint)
    else:
        check_initial_weights(model, cfg.get('load_from'))
    runner.train()


if __name__ == '__main__':
    cli.run(main, parse_args())
