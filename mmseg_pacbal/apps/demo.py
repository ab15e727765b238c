"""Train PAC + BAL on generated data, test it and draw what it learned."""

import argparse
import json
import time
from pathlib import Path

from mmengine.runner import Runner
from prettytable import PrettyTable

from ..openmmlab.completion import load_complete_config
from ..openmmlab.engine import build_runner
from ..openmmlab.inspection import inspect_sample
from ..visualization import panel_figure
from .refusals import DEMO_RESULTS

LEAST_MIOU = 60.0


def main(args: argparse.Namespace) -> None:
    started = time.time()
    cfg = load_complete_config(args.config, args.cfg_options, 'train_dataloader', 'val_dataloader')
    cfg.work_dir = args.work_dir
    out = Path(cfg.work_dir)
    pictures, results = (out / name for name in DEMO_RESULTS)
    runner = build_runner(cfg)
    untrained = measure(runner)
    runner.train()
    trained = measure(runner)

    dataset = runner.test_loop.dataloader.dataset
    rows = [inspect_sample(runner.model, dataset, i) for i in range(args.images)]
    figure = panel_figure(rows, dataset.metainfo['classes'], dataset.metainfo['palette'])
    figure.savefig(pictures, dpi=110)
    minutes = (time.time() - started) / 60
    result = dict(untrained=untrained, trained=trained, iterations=runner.iter, minutes=minutes)
    results.write_text(json.dumps(result, indent=2))

    table = PrettyTable(['PAC + BAL', *trained], float_format='.2')
    table.add_row(['untrained', *untrained.values()])
    table.add_row([f'after {runner.iter} iterations', *trained.values()])
    print(f'\nValidation on {len(dataset)} generated images, {minutes:.1f} minutes in all:')
    print(table)
    print(f'Pictures: {pictures}  log and checkpoints: {out}')
    if trained['mIoU'] < LEAST_MIOU:
        raise ValueError(
            f'the demo reached mIoU {trained["mIoU"]}, below {LEAST_MIOU}; please report it with '
            'the output of `python -m mmseg_pacbal.doctor`'
        )


def measure(runner: Runner) -> dict[str, float]:
    return {name: float(value) for name, value in runner.test().items()}
