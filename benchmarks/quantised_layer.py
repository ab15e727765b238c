"""PAC quantised to 8 bits, in its factorized form and as five convolutions, beside float32.

python -m benchmarks.quantised_layer
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.export_runtimes import FORMS, Models, case, place
from benchmarks.harness import main
from benchmarks.records import source_of_spreads, spread
from benchmarks.runtimes import INT8, INT8_PACKAGES, Model, to_onnx, versions
from mmseg_pacbal.apps.refusals import require_packages
from mmseg_pacbal.markdown import to_markdown

CASES = ((2048, 256, 33), (512, 256, 33), (128, 64, 33))  # C_in, C_out, side of the feature


def measure(args: argparse.Namespace) -> dict:
    require_packages(*INT8_PACKAGES)
    cases = [case(args, name, shape, in_both(name)) for name in INT8 for shape in CASES]
    return dict(versions=versions(INT8_PACKAGES), cases=cases)


def in_both(runtime: str) -> Models:
    quantised, start = INT8[runtime]

    def models(
        layer: nn.Module, features: list[np.ndarray], stem: Path, threads: int
    ) -> dict[str, Model]:
        path = to_onnx(layer, torch.from_numpy(features[0]), stem.with_suffix('.onnx'))
        return dict(float32=start(path, threads), int8=start(quantised(path, features), threads))

    return models


def table(record: dict) -> str:
    rows = []
    for one in record['results']['cases']:
        for form in FORMS:
            keys = [f'{form}, {precision}' for precision in ('float32', 'int8')]
            times = [spread(one['times'][key], 2) for key in keys]
            rows.append([*place(one), form, *times, f'{one["errors"][keys[1]]:.1%}'])
    head = ['runtime', 'layer', 'form', 'float32, ms', 'int8, ms', 'error of int8']
    return to_markdown(head, rows, left=3) + source_of_spreads(record)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, threads=1, device='cpu')
