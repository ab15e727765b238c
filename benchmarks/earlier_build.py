"""The weight map and the lean loss of this build beside those of another checkout, in one process.

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

import torch
from torch import Tensor

from benchmarks.harness import InTurn, blocks, fresh, labels, main, measure_times
from benchmarks.records import ROOT, ms, source
from mmseg_pacbal.markdown import to_markdown

MAPS = ((1, 1024, 2048), (8, 513, 513), (1, 375, 500), (1, 65, 65))
CLASSES = (2, 21, 150)
BATCH, SIZE, LOGITS = 2, 512, 64


def measure(args: argparse.Namespace) -> dict:
    builds = dict(now=ops_of(ROOT, 'now'), earlier=ops_of(Path(args.checkout or ROOT), 'earlier'))

    def time(module: str, function: Callable[[ModuleType], Any], inputs: list) -> dict:
        runs = {
            name: InTurn(function(importlib.import_module(f'{package}.{module}')), inputs)
            for name, package in builds.items()
        }
        return measure_times(runs, args.repeats, args.device)

    cases = {}
    for shape in MAPS:
        inputs = [label.byte() for label in labels(21, shape, args.device)]
        name = f'weight map, {" x ".join(map(str, shape))}'
        cases[name] = time('boundary_weight', lambda m: m.boundary_weight_map, inputs)
    for classes in CLASSES:
        pairs = fresh(lambda g, c=classes: (logits(g, c), blocks(g, c, (BATCH, SIZE, SIZE))))
        on_device = [tuple(t.to(args.device) for t in pair) for pair in pairs]
        name = f'lean cross entropy, {classes} classes'
        cases[name] = time('lean_cross_entropy', step, on_device)
    return dict(checkout=Path(args.checkout).name, cases=cases)


def ops_of(root: Path, name: str) -> str:
    """A package of a build's pure functions under a name of its own; PAC is not loaded."""
    package = ModuleType(f'{name}_ops')
    package.__path__ = [str(root / 'mmseg_pacbal' / 'ops')]
    sys.modules[package.__name__] = package
    return package.__name__


def logits(generator: torch.Generator, classes: int) -> Tensor:
    return torch.randn(BATCH, classes, LOGITS, LOGITS, generator=generator)


def step(module: ModuleType) -> Callable[[tuple[Tensor, Tensor]], Tensor]:
    """Loss and gradient."""

    def run(pair: tuple[Tensor, Tensor]) -> Tensor:
        x = pair[0].detach().requires_grad_()
        return torch.autograd.grad(module.lean_cross_entropy(x, pair[1])[0].sum(), x)[0]

    return run


def table(record: dict) -> str:
    rows = []
    for case, times in record['results']['cases'].items():
        now, earlier = times['now'], times['earlier']
        ratios = [now[p] / earlier[p] for p in ('p20', 'p50', 'p80')]
        rows.append([case, ms(earlier, 1), ms(now, 1), *(f'{r:.2f}' for r in ratios)])
    head = ['work', 'earlier', 'now', 'ratio of p20', 'of p50', 'of p80']
    return to_markdown(head, rows, left=1) + source(record)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, checkout='')
