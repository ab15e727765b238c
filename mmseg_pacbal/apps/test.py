"""Measure mIoU of a checkpoint."""

import argparse

from .. import configs
from ..openmmlab.checkpoint_checks import check_checkpoint
from ..openmmlab.completion import load_complete_config
from ..openmmlab.engine import build_runner, use_amp_in_testing
from ..openmmlab.engine.processes import start_processes
from . import cli


def main(args: argparse.Namespace) -> None:
    cfg = load_complete_config(args.config, args.cfg_options, 'test_dataloader')
    cfg.work_dir = cli.work_dir(args, cfg)
    cfg.load_from = args.checkpoint
    cfg.resume = False  # the config that a resumed run left in its work dir may have it
    for evaluator in configs.evaluators(cfg) if args.out else ():
        if configs.type_name(evaluator) == 'IoUMetric':
            evaluator.output_dir = args.out
    if args.show_dir:
        cfg.default_hooks.visualization.update(draw=True, interval=1)
        cfg.visualizer.save_dir = args.show_dir
        if args.opacity is not None:
            cfg.visualizer.alpha = args.opacity
    if args.tta:
        for _, dataset in configs.datasets(cfg, 'test_dataloader'):
            dataset.pipeline = cfg.tta_pipeline
        cfg.model = dict(**cfg.tta_model, module=cfg.model)
    if args.amp:
        use_amp_in_testing(cfg)
    start_processes(cfg, args.launcher, args.local_rank)
    runner = build_runner(cfg)
    check_checkpoint(getattr(runner.model, 'module', runner.model), args.checkpoint)
    runner.test()
