"""This build beside another checkout, a peer that does the same job, and the least it could take.

python -m benchmarks.earlier_build --threads 1 --checkout FOLDER    such as a git worktree; without
it this build is timed beside itself, which shows how far a ratio is noise
"""

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import (
    InTurn,
    blocks,
    enlarged,
    fresh,
    gradient,
    labels,
    main,
    measure_times,
)
from benchmarks.records import ROOT, ms, ratios, source
from mmseg_pacbal.markdown import to_markdown
from mmseg_pacbal.openmmlab.evaluation import intersect_and_union
from mmseg_pacbal.ops.reference import boundary_weight_map_reference

MAPS = ((1, 4096, 4096), (1, 1024, 2048), (8, 513, 513), (1, 375, 500), (1, 65, 65))
PLAIN = 2**18  # pixels up to which the plain definition is timed: more take it many seconds
CLASSES = (2, 21, 150)
BATCH, SIZE, LOGITS = 2, 512, 64
MEASURED = (1, 1024, 2048)  # a prediction and its label, of 19 classes


def measure(args: argparse.Namespace) -> dict:
    cv2.setNumThreads(args.threads)
    builds = dict(
        now=package_of(ROOT, 'now'), earlier=package_of(Path(args.checkout or ROOT), 'earlier')
    )

    def time(
        module: str, function: Callable[[ModuleType], Any], inputs: list, **others: Any
    ) -> dict:
        runs = {
            name: InTurn(function(importlib.import_module(f'{package}.{module}')), inputs)
            for name, package in builds.items()
        }
        return measure_times(runs | others, args.repeats, args.device)

    cases = {}
    for shape in MAPS:
        inputs = [label.byte() for label in labels(21, shape, args.device)]
        others = {'limit': InTurn(blur, [label.cpu().float().numpy() for label in inputs])}
        if inputs[0].numel() <= PLAIN:
            others['peer'] = InTurn(boundary_weight_map_reference, inputs)
        name = f'weight map, {" x ".join(map(str, shape))}'
        cases[name] = time('ops.boundary_weight', lambda m: m.boundary_weight_map, inputs, **others)
    for classes in CLASSES:
        pairs = fresh(lambda g, c=classes: logits_and_label(g, c, args.device))
        name = f'lean cross entropy, {classes} classes'
        plain = InTurn(gradient(enlarged(F.cross_entropy)), pairs)
        cases[name] = time('ops.lean_cross_entropy', lean_step, pairs, peer=plain)
    images = [label[0] for label in labels(19, MEASURED)]
    arrays = [(image.roll(3, 1).numpy(), image.numpy()) for image in images]
    cases[f'boundary measures, {" x ".join(map(str, MEASURED))}'] = time(
        'metrics.boundary_quality', counts, arrays, peer=InTurn(iou_counts, images)
    )
    return dict(checkout=Path(args.checkout).name, cases=cases)


def package_of(root: Path, name: str) -> str:
    """A package of a build's pure functions under a name of its own; PAC is not loaded."""
    for room in ('', '.ops', '.metrics'):
        package = ModuleType(f'build_{name}{room}')
        package.__path__ = [str(root / 'mmseg_pacbal' / room[1:])]
        sys.modules[package.__name__] = package
    return f'build_{name}'


def blur(edges: np.ndarray) -> list[np.ndarray]:
    """Shrink, blur and enlarge by OpenCV, as if the edges were ready: values cost it nothing."""
    kernel = cv2.getGaussianKernel(35, 7.2, cv2.CV_32F)
    results = []
    for one in edges:
        small = cv2.resize(one, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        blurred = cv2.sepFilter2D(small, -1, kernel, kernel)
        results.append(cv2.resize(blurred, one.shape[::-1]))
    return results


def counts(module: ModuleType) -> Callable:
    """Those of the three boundary measures in one image."""
    settings = dict(ratio=0.02, widths=(1, 2, 4, 8, 16, 32), tolerance=0.0075)
    return lambda pair: module.boundary_counts(*module.class_maps(*pair, 19), 19, **settings)


def iou_counts(label: Tensor) -> object:
    """What mIoU counts in the same image, as MMSegmentation's IoUMetric does under this plugin."""
    return intersect_and_union(label.roll(3, 1), label, 19, 255)


def logits_and_label(
    generator: torch.Generator, classes: int, device: str
) -> tuple[Tensor, Tensor]:
    logits = torch.randn(BATCH, classes, LOGITS, LOGITS, generator=generator)
    label = blocks(generator, classes, (BATCH, SIZE, SIZE))
    return logits.to(device).requires_grad_(), label.to(device)


def lean_step(module: ModuleType) -> Callable:
    return gradient(lambda small, label: module.lean_cross_entropy(small, label)[0].sum())


def table(record: dict) -> str:
    rows = []
    for case, times in record['results']['cases'].items():
        columns = ('peer', 'earlier', 'now', 'limit')
        shown = [ms(times[who], 1) if who in times else '' for who in columns]
        to_now = [
            ', '.join(ratios(times['now'], times[who])) if who in times else ''
            for who in ('earlier', 'peer')
        ]
        rows.append([case, *shown, *to_now])
    head = ['work', 'peer', 'earlier', 'now', 'limit', 'now / earlier: p20, p50, p80', 'now / peer']
    return to_markdown(head, rows, left=1) + source(record)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, checkout='')
