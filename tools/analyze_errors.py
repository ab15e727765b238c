"""Where a model is wrong: python tools/analyze_errors.py CONFIG CHECKPOINT --out DIR

mIoU and mean accuracy over the test data set, split by what makes segmentation hard: boundaries,
small objects, thin parts, touching classes; and calibration, at boundaries and in the interior. The
results are regions.md, regions.csv (every class) and regions.png, and calibration.md,
calibration.csv (every bin) and calibration.png.
With --compare CONFIG2 CHECKPOINT2 two models are shown side by side; --cfg-options apply to both.
"""

import mmseg_pacbal.apps  # noqa: F401 (first: it says what to install)

# isort: split
import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmseg.registry import MODELS

from mmseg_pacbal import configs
from mmseg_pacbal.apps import cli
from mmseg_pacbal.metrics.calibration import calibration_csv, calibration_table
from mmseg_pacbal.metrics.hard_regions import region_csv, region_table
from mmseg_pacbal.openmmlab.checkpoint_checks import check_checkpoint
from mmseg_pacbal.openmmlab.completion import load_complete_config
from mmseg_pacbal.openmmlab.data_checks.loaders import check_data
from mmseg_pacbal.openmmlab.engine import build_runner
from mmseg_pacbal.openmmlab.metrics import CalibrationMetric, HardRegionMetric
from mmseg_pacbal.visualization import region_chart, reliability_plot

FILES = (
    *('regions.md', 'regions.csv', 'regions.png'),
    *('calibration.md', 'calibration.csv', 'calibration.png'),
)


def parse_args() -> argparse.Namespace:
    parser = cli.parser('Split the score of a model by what makes segmentation hard')
    cli.add_work_dir(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    cli.add_compare(parser)
    parser.add_argument('--out', metavar='DIR', required=True, help='folder for the results')
    cli.add_overwrite(parser)
    parser.add_argument('--width', type=int, default=8, help='near a boundary: pixels from it')
    parser.add_argument('--area', type=int, default=1024, help='small objects have fewer pixels')
    parser.add_argument(
        '--radius', type=int, default=4, help='in thin parts no disc of this radius fits'
    )
    return parser.parse_args()


def sizes(args: argparse.Namespace) -> dict[str, int]:
    return dict(width=args.width, area=args.area, radius=args.radius)


def check_args(args: argparse.Namespace) -> None:
    HardRegionMetric(**sizes(args))  # to raise now rather than after the model is built
    cli.check_outputs(args, [Path(args.out, name) for name in FILES])


def model_names(models: list[tuple[str, str]]) -> list[str]:
    """Names of the configs; if these are equal, with the names or paths of the checkpoints."""
    configs = [Path(config).stem for config, _ in models]
    candidates = (
        configs,
        [f'{name} {Path(path).stem}' for name, (_, path) in zip(configs, models, strict=True)],
        [f'{config} {path}' for config, path in models],
    )
    return next((names for names in candidates if len(set(names)) == len(names)), candidates[-1])


def prepare(config: str, checkpoint: str, args: argparse.Namespace) -> Config:
    """The config with this tool's metric, after a check of its data and the checkpoint."""
    cfg = load_complete_config(config, args.cfg_options)
    cfg.work_dir = cli.work_dir(args, cfg)
    cfg.load_from = checkpoint
    # The config that training left in its work dir may have other values.
    cfg.resume, cfg.launcher = False, 'none'
    check_data(cfg, 'test_dataloader')
    check_checkpoint(MODELS.build(cfg.model), checkpoint)
    evaluators = configs.evaluators(cfg)
    ignore_index = evaluators[0].get('ignore_index', 255)
    common = dict(ignore_index=ignore_index)
    cfg.test_evaluator = [
        *evaluators,
        dict(type='HardRegionMetric', **common, **sizes(args)),
        dict(type='CalibrationMetric', **common, width=args.width),
    ]
    return cfg


def evaluate(cfg: Config) -> tuple[HardRegionMetric, CalibrationMetric]:
    """Test a model on the test data set and return the two metrics, with their counts."""
    runner = build_runner(cfg)
    runner.test()
    *_, regions, calibration = runner.test_loop.evaluator.metrics
    return regions, calibration


def write(folder: Path, regions: dict, calibration: dict, classes: Sequence[str]) -> None:
    """Write tables and plots of each model's counts, and show the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = dict(regions=region_table(regions), calibration=calibration_table(calibration))
    for name, table in tables.items():
        Path(folder, f'{name}.md').write_text(table + '\n')
    Path(folder, 'regions.csv').write_text(region_csv(regions, classes))
    Path(folder, 'calibration.csv').write_text(calibration_csv(calibration))
    region_chart(regions).savefig(folder / 'regions.png', dpi=150)
    reliability_plot(calibration).savefig(folder / 'calibration.png', dpi=150)
    print('\n\n'.join([*tables.values(), f'written to {folder}']))


def main(args: argparse.Namespace) -> None:
    check_args(args)
    models = [(args.config, args.checkpoint), *([tuple(args.compare)] if args.compare else [])]
    # A test may take long, so both models are checked before the first one runs.
    cfgs = [prepare(config, checkpoint, args) for config, checkpoint in models]
    metrics = dict(zip(model_names(models), map(evaluate, cfgs), strict=True))
    regions = {name: found[0].total for name, found in metrics.items()}
    calibration = {name: found[1].total for name, found in metrics.items()}
    first, *others = regions.values()
    for other in others:
        if not np.array_equal(other[:, 2], first[:, 2]):
            raise ValueError(
                f'{args.config} and {args.compare[0]} test on different labels, so their figures '
                'cannot be compared; give configs of one data set'
            )
    ((metric, _), *_) = metrics.values()
    write(Path(args.out), regions, calibration, metric.dataset_meta['classes'])


if __name__ == '__main__':
    cli.run(main, parse_args())
