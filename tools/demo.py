"""Train PAC + BAL on generated data, test it and draw what it learned: python tools/demo.py"""

import mmseg_pacbal.apps  # noqa: F401 (first: it says what to install)

# isort: split
import argparse
import json
import time
from pathlib import Path

from mmengine.runner import Runner
from prettytable import PrettyTable

from mmseg_pacbal.apps import cli
from mmseg_pacbal.openmmlab.completion import load_complete_config
from mmseg_pacbal.openmmlab.data_checks.loaders import check_data
from mmseg_pacbal.openmmlab.engine import build_runner, find_checkpoints
from mmseg_pacbal.openmmlab.inspection import inspect_sample
from mmseg_pacbal.visualization import panel_figure

CONFIG = Path(__file__).resolve().parent.parent / 'configs' / 'pac_bal_demo.py'
LEAST_MIOU = 60.0


def parse_args() -> argparse.Namespace:
    description = 'Train PAC + BAL on generated data, test it and draw what it learned'
    parser = cli.parser(description, default_config=str(CONFIG))
    cli.add_work_dir(parser)
    parser.set_defaults(work_dir=time.strftime('work_dirs/pac_bal_demo/%Y%m%d_%H%M%S'))
    cli.add_overwrite(parser)
    parser.add_argument('--images', type=int, default=4, help='how many images to draw')
    return parser.parse_args()


def measure(runner: Runner) -> dict[str, float]:
    return {name: float(value) for name, value in runner.test().items()}


def main(args: argparse.Namespace) -> None:
    started = time.time()
    cfg = load_complete_config(args.config, args.cfg_options)
    cfg.work_dir = args.work_dir
    out = Path(cfg.work_dir)
    pictures, results = out / 'panels.png', out / 'results.json'
    files = [pictures, results, out / 'last_checkpoint', *find_checkpoints(out)]
    cli.check_outputs(args, files, option='--work-dir')
    check_data(cfg, 'train_dataloader', 'val_dataloader')
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


if __name__ == '__main__':
    cli.run(main, parse_args())
