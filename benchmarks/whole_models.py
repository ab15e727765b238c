"""Whole models, exported, in float32 and quantised to 8 bits: images a second and mIoU.

python -m benchmarks.whole_models --models CONFIG=CHECKPOINT,CONFIG=CHECKPOINT --data data/camvid

Each runtime quantises by its own library, from images of the training set. Without a checkpoint
weights are random, and mIoU is not measured.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS

from benchmarks.harness import InTurn, main, measure_times
from benchmarks.records import source_of_spreads, spread
from benchmarks.runtimes import INT8, INT8_PACKAGES, Model, versions
from mmseg_pacbal.apps import export_onnx
from mmseg_pacbal.apps.refusals import require_packages
from mmseg_pacbal.markdown import to_markdown
from mmseg_pacbal.metrics.label_counts import class_maps, iou, mean_percent, overlap_counts
from mmseg_pacbal.openmmlab.completion import load_complete_config

CALIBRATION = 32  # images of the training set
Sample = tuple[np.ndarray, np.ndarray]  # an image (1, 3, H, W), RGB from 0 to 255; its label


def measure(args: argparse.Namespace) -> dict:
    require_packages(*INT8_PACKAGES)
    pairs = [model.partition('=')[::2] for model in args.models.split(',')]
    models = [result for pair in pairs for result in of_model(args, *pair)]
    return dict(versions=versions(INT8_PACKAGES), runs=models)


def of_model(args: argparse.Namespace, config: str, checkpoint: str) -> list[dict]:
    """A result for PyTorch, and for each runtime and precision."""
    cfg = load_complete_config(config, dict(data_root=args.data))
    calibration = [image for image, _ in samples(cfg, 'train_dataloader', CALIBRATION)]
    labelled = samples(cfg, 'val_dataloader')
    images = [image for image, _ in labelled]
    with tempfile.TemporaryDirectory() as folder:
        weights = checkpoint or random_weights(cfg, Path(folder))
        models = candidates(cfg, weights, Path(folder), calibration, args.threads)
        runs = {name: InTurn(model, images) for name, model in models.items()}
        times = measure_times(runs, args.repeats)
        scores = {name: miou(m, labelled) if checkpoint else None for name, m in models.items()}
    about = dict(config=Path(config).stem, checkpoint=Path(checkpoint).stem)
    about |= dict(size=images[0].shape[2:], images=len(images))
    runs = [dict(about, run=name, times=times[name], miou=scores[name]) for name in models]
    print(*runs, sep='\n', flush=True)
    return runs


def samples(cfg: Config, loader: str, most: int | None = None) -> list[Sample]:
    """Of a data set, whole images as in validation: all of them, or as many evenly spaced."""
    pipeline = cfg.val_dataloader.dataset.pipeline
    dataset = DATASETS.build(dict(cfg[loader].dataset, pipeline=pipeline))
    packed = [dataset[int(i)] for i in np.linspace(0, len(dataset) - 1, most or len(dataset))]
    labels = [sample['data_samples'].gt_sem_seg.data[0].numpy() for sample in packed]
    images = [sample['inputs'].flip(0)[None].float().numpy() for sample in packed]
    return [*zip(images, labels, strict=True)]


def random_weights(cfg: Config, folder: Path) -> str:
    torch.manual_seed(0)
    path = folder / 'random.pth'
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), path)
    return str(path)


def candidates(
    cfg: Config, checkpoint: str, folder: Path, calibration: list[np.ndarray], threads: int
) -> dict[str, Model]:
    plain = export_onnx.load_model(cfg, checkpoint)
    runs: dict[str, Model] = dict(
        PyTorch=lambda image: export_onnx.predicted(plain, torch.from_numpy(image)).numpy()
    )
    first = torch.from_numpy(calibration[0])
    expected = export_onnx.predicted(plain, first)
    for runtime, (quantised, start) in INT8.items():
        for precision in ('float32', 'int8'):
            model = export_onnx.load_model(cfg, checkpoint)
            model.prepare(runtime, precision == 'int8')
            path = folder / f'{runtime}_{precision}.onnx'
            export_onnx.export(model, path, 18)
            export_onnx.verify(path, [first], [expected], model.threshold())
            graph = quantised(path, calibration) if precision == 'int8' else path
            runs[f'{runtime}, {precision}'] = start(graph, threads)
    return runs


def miou(model: Model, labelled: list[Sample]) -> float:
    """In %, of logits enlarged to the sizes of the labels, as MMSegmentation tests."""
    counts = []
    for image, label in labelled:
        logits = torch.from_numpy(model(image))
        classes = logits.shape[1]
        large = F.interpolate(logits, label.shape, mode='bilinear', align_corners=False)
        maps = class_maps(large.argmax(1)[0].numpy(), label, classes)
        counts.append(overlap_counts(*maps, classes))
    return mean_percent(iou(np.sum(counts, 0)))


def table(record: dict) -> str:
    rows = [
        [
            f'`{run["config"]}`',
            run['checkpoint'] or 'random weights',
            run['run'],
            spread(run['times'], 1),
            f'{1 / run["times"]["p50"]:.1f}',
            'not measured' if run['miou'] is None else f'{run["miou"]:.2f}',
        ]
        for run in record['results']['runs']
    ]
    head = ['config', 'checkpoint', 'run by', 'ms an image', 'images a second', 'mIoU']
    return to_markdown(head, rows, left=3) + source_of_spreads(record)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, threads=1, device='cpu', models='', data='data/camvid')
