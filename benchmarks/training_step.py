"""Whole training steps of three configs on a reduced crop: forward, loss, backward, update.

python -m benchmarks.training_step
"""

import argparse

import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import mmseg_pacbal  # noqa: F401 (registers PACHead)
from benchmarks.harness import Run, blocks, main, measure_both
from benchmarks.records import ROOT, median, source
from mmseg_pacbal.markdown import to_markdown

CONFIGS = {
    'pac_bal_voc': 'configs/pac_bal_voc.py',
    'deeplabv3_voc': 'configs/deeplabv3_voc.py',
    'MMSegmentation deeplabv3_r101-d8': (
        'mmseg::deeplabv3/deeplabv3_r101-d8_4xb4-20k_voc12aug-512x512.py'
    ),
}


def measure(args: argparse.Namespace) -> dict:
    init_default_scope('mmseg')
    set_random_seed(0)
    runs = {name: training_step(path, args) for name, path in CONFIGS.items()}
    return dict(crop=args.crop, batch=args.batch, **measure_both(runs, args))


def training_step(path: str, args: argparse.Namespace) -> Run:
    cfg = get_config(path) if path.startswith('mmseg::') else Config.fromfile(ROOT / path)
    cfg.model.data_preprocessor.size = (args.crop, args.crop)
    # One process: batch norms have nothing to synchronise with.
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).to(args.device).train()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, 0.9, weight_decay=1e-4)
    generator = torch.Generator().manual_seed(0)
    shape = (args.batch, 3, args.crop, args.crop)
    images = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    labels = blocks(21, (args.batch, args.crop, args.crop), side=32)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]
    data = dict(inputs=list(images), data_samples=samples)

    def step() -> None:
        losses = model(**model.data_preprocessor(data, training=True), mode='loss')
        optimizer.zero_grad()
        model.parse_losses(losses)[0].backward()
        optimizer.step()

    return step


def table(record: dict) -> str:
    results = record['results']
    rows = [
        [
            f'`{name}`',
            f'{1e3 * median(times):.0f} ms',
            f'{results["batch"] / median(times):.2f}',
            f'{results["memory"][name] / 1e9:.2f} GB',
        ]
        for name, times in results['times'].items()
    ]
    head = ['config', f'step, {crop(record)}', 'images/s', 'memory']
    return to_markdown(head, rows, left=1) + source(record)


def crop(record: dict) -> str:
    device = record['environment']['device'].upper()
    return f'crop {record["results"]["crop"]}, batch {record["results"]["batch"]}, {device}'


def summary(record: dict) -> dict[str, str]:
    results = record['results']
    speeds = [f'{results["batch"] / median(times):.2f}' for times in results['times'].values()]
    memory = [f'{most / 1e9:.2f}' for most in results['memory'].values()]
    return {
        f'training step of {" / ".join(results["times"])}, {crop(record)}': (
            f'{" / ".join(speeds)} images/s, {" / ".join(memory)} GB'
        )
    }


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, crop=257, batch=2)
