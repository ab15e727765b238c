"""Where a model is wrong.

mIoU and mean accuracy over the test data set, split by what makes segmentation hard: boundaries,
small objects, thin parts, touching classes; and calibration, at boundaries and in the interior. The
results are regions.md, regions.csv (every class) and regions.png, and calibration.md,
calibration.csv (every bin) and calibration.png.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmseg.registry import MODELS

from .. import configs
from ..metrics.calibration import calibration_csv, calibration_table
from ..metrics.hard_regions import region_csv, region_table
from ..openmmlab.checkpoint_checks import check_checkpoint
from ..openmmlab.completion import load_complete_config
from ..openmmlab.engine import build_runner
from ..openmmlab.metrics import CalibrationMetric, HardRegionMetric
from ..visualization import region_chart, reliability_plot
from . import cli

OWN = (HardRegionMetric.__name__, CalibrationMetric.__name__)


def main(args: argparse.Namespace) -> None:
    sizes = dict(width=args.width, area=args.area, radius=args.radius)
    HardRegionMetric(**sizes)  # to raise now rather than after the model is built
    models = [(args.config, args.checkpoint), *([tuple(args.compare)] if args.compare else [])]
    # A test may take long, so both models are checked before the first one runs.
    cfgs = [prepare(config, checkpoint, args, sizes) for config, checkpoint in models]
    metrics = dict(zip(model_names(models), map(evaluate, cfgs), strict=True))
    regions = {name: pair[0].total for name, pair in metrics.items()}
    calibration = {name: pair[1].total for name, pair in metrics.items()}
    first, *others = regions.values()
    for other in others:
        if not np.array_equal(other[:, 2], first[:, 2]):
            raise ValueError(
                f'{args.config} and {args.compare[0]} test on different labels, so their figures '
                'cannot be compared; give configs of one data set'
            )
    ((metric, _), *_) = metrics.values()
    write(Path(args.out), regions, calibration, metric.dataset_meta['classes'])


def model_names(models: list[tuple[str, str]]) -> list[str]:
    """Names of the configs; if these are equal, with the names or paths of the checkpoints."""
    stems = [(Path(config).stem, Path(checkpoint).stem) for config, checkpoint in models]
    candidates = (
        [config for config, _ in stems],
        [f'{config} {checkpoint}' for config, checkpoint in stems],
        [f'{config} {checkpoint}' for config, checkpoint in models],
    )
    return next((names for names in candidates if len(set(names)) == len(names)), candidates[-1])


def prepare(config: str, checkpoint: str, args: argparse.Namespace, sizes: dict) -> Config:
    """The config with this tool's metrics, after a check of its data and the checkpoint."""
    cfg = load_complete_config(config, args.cfg_options, 'test_dataloader')
    cfg.work_dir = cli.work_dir(args, cfg)
    cfg.load_from = checkpoint
    # The config that training left in its work dir may have other values.
    cfg.resume, cfg.launcher = False, 'none'
    check_checkpoint(MODELS.build(cfg.model), checkpoint)
    evaluators = configs.evaluators(cfg)
    common = dict(ignore_index=evaluators[0].get('ignore_index', 255))
    cfg.test_evaluator = [
        # Without those of the config, whose results have the same names.
        *(e for e in evaluators if configs.type_name(e) not in OWN),
        dict(type='HardRegionMetric', **common, **sizes),
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
