"""The exported pyramid in other runtimes, against five convolutions and one.

python -m benchmarks.deployment    needs mmseg-pacbal[onnx,openvino]

With --checkpoint it also scores a whole exported model on CamVid's validation images, as it is and
with its weights and activations as 8-bit integers (dynamic quantisation by onnxruntime).
"""

import argparse
import logging
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness import Run, main, measure_times, relative_error
from benchmarks.pyramid_atrous_conv import RATES
from benchmarks.records import ROOT, median, source
from benchmarks.runtimes import (
    OPENVINO,
    ORT,
    RUNTIMES,
    Model,
    check_installed,
    export,
    in_onnxruntime,
    in_openvino,
    quantised,
    versions,
)
from mmseg_pacbal.layers import PyramidAtrousConv
from mmseg_pacbal.markdown import to_markdown
from mmseg_pacbal.metrics.label_counts import class_maps, class_mean, iou, overlap_counts

CHANNELS = (2048, 256)
PAC, FIVE, ONE, INT8 = 'PAC, exported', 'five convolutions', 'one, rate 1', 'PAC, 8 bits'
CONFIG = ROOT / 'configs' / 'pac_bal_camvid_mini.py'
MAX_ERROR = 1e-5  # of what is float32


class Convolutions(nn.Module):
    """The sum of the convolutions with one filter at several rates."""

    def __init__(self, weight: Tensor, rates: tuple[int, ...]) -> None:
        super().__init__()
        self.weight, self.rates = nn.Parameter(weight), rates

    def forward(self, x: Tensor) -> Tensor:
        return sum(F.conv2d(x, self.weight, padding=r, dilation=r) for r in self.rates)


def measure(args: argparse.Namespace) -> dict:
    check_installed()
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    sizes = [*map(int, args.sizes.split(','))]
    with tempfile.TemporaryDirectory() as folder:
        cases = pyramids(args, sizes, Path(folder))
        results: dict = dict(versions=versions(), cases=cases)
        if args.checkpoint:
            results['model'] = whole_model(args, Path(folder))
    return results


def pyramids(args: argparse.Namespace, sizes: list[int], folder: Path) -> list[dict]:
    """Times of every form in every runtime."""
    torch.manual_seed(0)
    pac = PyramidAtrousConv(*CHANNELS, RATES, activation=None)
    plain = pac.weight.detach().contiguous()
    modules = {PAC: pac, FIVE: Convolutions(plain, RATES), ONE: Convolutions(plain, (1,))}
    files = {
        name: export(module.eval(), CHANNELS[0], folder / f'{i}.onnx')
        for i, (name, module) in enumerate(modules.items())
    }
    models = {
        (runtime, name): open_(file, args.threads)
        for runtime, open_ in RUNTIMES.items()
        for name, file in files.items()
    }
    models[ORT, INT8] = in_onnxruntime(quantised(files[PAC]), args.threads)
    return [case(args, size, models, modules) for size in sizes]


def case(
    args: argparse.Namespace, size: int, models: dict[tuple, Model], modules: dict[str, nn.Module]
) -> dict:
    """Times at one size; those that compute the same are compared first."""
    x = torch.randn(1, CHANNELS[0], size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = {name: module(x) for name, module in modules.items()}
    expected[INT8] = expected[PAC]
    errors = {
        name: relative_error(torch.from_numpy(model(x.numpy())), expected[name[1]])
        for name, model in models.items()
    }
    for (runtime, name), error in errors.items():
        if name != INT8 and not error <= MAX_ERROR:
            raise ValueError(f'{name!r} in {runtime} differs from PyTorch by {error:.1e}')
    runs: dict[tuple, Run] = {k: lambda m=m: m(x.numpy()) for k, m in models.items()}
    times = measure_times({' | '.join(key): run for key, run in runs.items()}, args.repeats)
    return dict(size=size, times=times, error_of_8_bits=errors[ORT, INT8])


# A whole model


def whole_model(args: argparse.Namespace, folder: Path) -> dict:
    """Scores and times of a checkpoint in PyTorch, in the runtimes, and with 8 bits."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    from mmseg_pacbal.openmmlab.completion import load_complete_config
    from tools import export_onnx

    cfg = load_complete_config(str(CONFIG), dict(data_root=args.data_root))
    init_default_scope('mmseg')
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    model = export_onnx.load_model(cfg, args.checkpoint)
    export_onnx.fuse_norms(model)
    path = folder / 'model.onnx'
    export_onnx.export(model, path, 18)
    models: dict[str, Model] = {
        'PyTorch': torch.no_grad()(lambda x: model(torch.from_numpy(x)).numpy()),
        ORT: in_onnxruntime(path, args.threads),
        OPENVINO: in_openvino(path, args.threads),
        f'{ORT}, 8 bits': in_onnxruntime(quantised(path), args.threads),
    }
    images, labels = samples(dataset)
    runs = {name: lambda m=m: m(images[0]) for name, m in models.items()}
    return dict(
        config=CONFIG.stem,
        images=len(images),
        size=[*images[0].shape[2:]],
        mIoU={name: 100 * score(m, images, labels) for name, m in models.items()},
        times=measure_times(runs, args.repeats),
    )


def samples(dataset) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Images (1, 3, H, W), RGB from 0 to 255, and labels at their original size."""
    loaded = [dataset[i] for i in range(len(dataset))]
    images = [s['inputs'].flip(0)[None].float().numpy() for s in loaded]
    return images, [s['data_samples'].gt_sem_seg.data[0].numpy() for s in loaded]


def score(model: Model, images: list[np.ndarray], labels: list[np.ndarray]) -> float:
    """mIoU of predictions that are enlarged to the size of their labels."""
    counts: np.ndarray | int = 0
    for image, label in zip(images, labels, strict=True):
        logits = torch.from_numpy(model(image))
        large = F.interpolate(logits, label.shape, mode='bilinear', align_corners=False)
        maps = class_maps(large.argmax(1)[0].numpy(), label, logits.shape[1])
        counts = counts + overlap_counts(*maps, logits.shape[1])
    return class_mean(iou(counts))


# Tables


def table(record: dict) -> str:
    rows = []
    for case in record['results']['cases']:
        seconds: dict[str, dict] = {}
        for name, times in case['times'].items():
            runtime, form = name.split(' | ')
            seconds.setdefault(runtime, {})[form] = median(times)
        for runtime, of in seconds.items():
            rows.append(
                [
                    f'{case["size"]}x{case["size"]}',
                    runtime,
                    *(f'{1e3 * of[form]:.0f} ms' for form in (PAC, FIVE, ONE)),
                    f'{of[FIVE] / of[PAC]:.2f}',
                    f'{of[PAC] / of[ONE]:.2f}',
                    f'{1e3 * of[INT8]:.0f} ms' if INT8 in of else '',
                ]
            )
    head = ['size', 'runtime', PAC, FIVE, ONE, 'five / PAC', 'PAC / one', INT8]
    return to_markdown(head, rows, left=2) + place_of(record)


def model_table(record: dict) -> str:
    model = record['results'].get('model')
    if model is None:
        return 'No checkpoint was given.'
    rows = [
        [name, f'{model["mIoU"][name]:.2f}', f'{1e3 * median(times):.0f} ms']
        for name, times in model['times'].items()
    ]
    head = ['runtime', f'mIoU, {model["images"]} images', '{} x {}'.format(*model['size'])]
    return to_markdown(head, rows, left=1)


def place_of(record: dict) -> str:
    named = ', '.join(f'{name} {v}' for name, v in record['results']['versions'].items())
    return f'{source(record)} {named}.'


if __name__ == '__main__':
    options = dict(sizes='33,65', checkpoint='', data_root='data/camvid', device='cpu')
    main(__file__, __doc__, measure, table, model_table, threads=1, **options)
