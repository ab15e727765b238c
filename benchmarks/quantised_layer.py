"""PAC quantised to 8 bits, in its factorized form and as five convolutions, beside float32.

python -m benchmarks.quantised_layer
"""

import argparse
import tempfile
from pathlib import Path

import torch

from benchmarks.export_runtimes import FORMS, MAX_ERROR, problem
from benchmarks.harness import InTurn, main, measure_times, relative_error
from benchmarks.records import source_of_spreads, spread
from benchmarks.runtimes import INT8, INT8_PACKAGES, to_onnx, versions
from mmseg_pacbal.apps.refusals import require_packages
from mmseg_pacbal.layers import prepare_export
from mmseg_pacbal.markdown import to_markdown

CASES = ((2048, 256, 33), (512, 256, 33), (128, 64, 33))  # C_in, C_out, side of the feature
ACCEPTED = dict(float32=MAX_ERROR, int8=0.1)


def measure(args: argparse.Namespace) -> dict:
    require_packages(*INT8_PACKAGES)
    cases = [case(args, runtime, *shape) for runtime in INT8 for shape in CASES]
    return dict(versions=versions(INT8_PACKAGES), cases=cases)


def case(args: argparse.Namespace, runtime: str, c_in: int, c_out: int, size: int) -> dict:
    """Times of both forms in both precisions, and their errors against PyTorch."""
    layer, features, x, expected = problem(c_in, c_out, size)
    quantised, start = INT8[runtime]
    runs, errors = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for form, layer.backend in FORMS.items():
            path = to_onnx(prepare_export(layer, runtime).eval(), x, Path(folder) / f'{form}.onnx')
            for precision, most in ACCEPTED.items():
                graph = path if precision == 'float32' else quantised(path, features)
                model, key = start(graph, args.threads), f'{form}, {precision}'
                errors[key] = relative_error(torch.from_numpy(model(features[0])), expected)
                if not errors[key] <= most:
                    raise ValueError(
                        f'{key} in {runtime} differs from PyTorch by {errors[key]:.1e}'
                    )
                runs[key] = InTurn(model, features)
        times = measure_times(runs, args.repeats)
    print(runtime, *x.shape, {key: taken['p50'] for key, taken in times.items()}, flush=True)
    return dict(runtime=runtime, c_in=c_in, c_out=c_out, size=size, errors=errors, times=times)


def table(record: dict) -> str:
    rows = []
    for case in record['results']['cases']:
        shape = '{c_in} -> {c_out}, {size}x{size}'.format(**case)
        for form in FORMS:
            keys = [f'{form}, {precision}' for precision in ACCEPTED]
            times = [spread(case['times'][key], 2) for key in keys]
            rows.append([case['runtime'], shape, form, *times, f'{case["errors"][keys[1]]:.1%}'])
    head = ['runtime', 'layer', 'form', 'float32, ms', 'int8, ms', 'error of int8']
    return to_markdown(head, rows, left=3) + source_of_spreads(record)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, threads=1, device='cpu')
