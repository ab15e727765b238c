"""Measure mIoU of a checkpoint: python tools/test.py CONFIG CHECKPOINT"""

import mmseg_pacbal.apps  # noqa: F401 (first: it says what to install)

# isort: split
import argparse
from pathlib import Path

from mmengine.config import Config

from mmseg_pacbal import configs
from mmseg_pacbal.apps import cli
from mmseg_pacbal.openmmlab.checkpoint_checks import check_checkpoint
from mmseg_pacbal.openmmlab.completion import load_complete_config
from mmseg_pacbal.openmmlab.data_checks.loaders import check_data
from mmseg_pacbal.openmmlab.engine import build_runner, use_amp_in_testing
from mmseg_pacbal.openmmlab.engine.processes import start_processes


def parse_args() -> argparse.Namespace:
    parser = cli.parser('Test a segmentation model')
    cli.add_work_dir(parser)
    cli.add_launcher(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', metavar='DIR', help='save predictions as label maps (PNG)')
    parser.add_argument('--show-dir', metavar='DIR', help='save pictures of the predictions')
    cli.add_overwrite(parser)
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    cli.add_amp(parser)
    return parser.parse_args()


def save_predictions(cfg: Config, folder: str) -> None:
    for evaluator in configs.evaluators(cfg):
        if evaluator.type == 'IoUMetric':
            evaluator.output_dir = folder


def check_folders(args: argparse.Namespace) -> None:
    """Check that --out and --show-dir hold no results of an earlier test."""
    if args.out:
        masks = sorted(Path(args.out).glob('*.png')) or [Path(args.out, 'mask.png')]
        cli.check_outputs(args, masks)
    if args.show_dir:
        folder = Path(args.show_dir, 'vis_data')
        pictures = [folder / 'config.py', *sorted(folder.glob('vis_image/*.png'))]
        cli.check_outputs(args, pictures, option='--show-dir')


def main(args: argparse.Namespace) -> None:
    check_folders(args)
    cfg = load_complete_config(args.config, args.cfg_options)
    cfg.work_dir = cli.work_dir(args, cfg)
    cfg.load_from = args.checkpoint
    cfg.resume = False  # the config that a resumed run left in its work dir may have it
    check_data(cfg, 'test_dataloader')
    if args.out:
        save_predictions(cfg, args.out)
    if args.show_dir:
        cfg.default_hooks.visualization.update(draw=True, interval=1)
        cfg.visualizer.save_dir = args.show_dir
    if args.tta:
        cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
        cfg.model = dict(**cfg.tta_model, module=cfg.model)
    if args.amp:
        use_amp_in_testing(cfg)
    start_processes(cfg, args.launcher, args.local_rank)
    runner = build_runner(cfg)
    check_checkpoint(getattr(runner.model, 'module', runner.model), args.checkpoint)
    runner.test()


if __name__ == '__main__':
    cli.run(main, parse_args())
