"""PAC, exported in its factorized form and as five convolutions, in every runtime installed.

python -m benchmarks.export_runtimes
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.harness import InTurn, agree, fresh, main, measure_times
from benchmarks.records import source_of_spreads, spread
from benchmarks.runtimes import OPENERS, PACKAGES, Model, installed, versions
from mmseg_pacbal.layers import PyramidAtrousConv, prepare_export
from mmseg_pacbal.markdown import to_markdown

Shape = tuple[int, int, int]  # C_in, C_out, side of the feature
CASES: tuple[Shape, ...] = (
    *((2048, 256, 33), (512, 256, 33), (256, 256, 33), (320, 128, 16)),
    *((128, 64, 33), (64, 64, 33), (32, 16, 17)),
)
FORMS = dict(factorized='factorized', five='reference')
ACCEPTED = dict(float32=1e-5, int8=0.1)  # errors, by precision
# Of a layer, its inputs, a path without suffix and a number of threads: models by precision.
Models = Callable[[nn.Module, list[np.ndarray], Path, int], dict[str, Model]]


def measure(args: argparse.Namespace) -> dict:
    names = args.runtimes.split(',') if args.runtimes else installed()
    cases = [case(args, name, shape, in_float32(name)) for name in names for shape in CASES]
    packages = [package for name in names for package in PACKAGES[name]]
    return dict(versions=versions(packages), cases=cases)


def in_float32(runtime: str) -> Models:
    return lambda layer, features, stem, threads: dict(
        float32=OPENERS[runtime](layer, torch.from_numpy(features[0]), stem, threads)
    )


def case(args: argparse.Namespace, runtime: str, shape: Shape, models: Models) -> dict:
    """Times of both forms in a runtime, and their errors against PyTorch.

    They are named by their form and, where a runtime has models of several precisions, by that.
    """
    c_in, c_out, size = shape
    features = fresh(lambda g: torch.randn(1, c_in, size, size, generator=g).numpy())
    torch.manual_seed(0)
    layer = PyramidAtrousConv(c_in, c_out, activation=None, backend='reference').eval()
    with torch.no_grad():
        expected = layer(torch.from_numpy(features[0]))
    runs, errors = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for form, layer.backend in FORMS.items():
            plain = prepare_export(layer, runtime).eval()
            built = models(plain, features, Path(folder) / form, args.threads)
            for precision, model in built.items():
                key = f'{form}, {precision}' if len(built) > 1 else form
                actual = torch.from_numpy(model(features[0]))
                what = f'{key} in {runtime} and PyTorch'
                errors[key] = agree(what, actual, expected, ACCEPTED[precision])
                runs[key] = InTurn(model, features)
        times = measure_times(runs, args.repeats)
    print(runtime, *shape, {key: taken['p50'] for key, taken in times.items()}, flush=True)
    return dict(runtime=runtime, c_in=c_in, c_out=c_out, size=size, errors=errors, times=times)


def place(case: dict) -> list[str]:
    """Runtime and layer, the first cells of a row."""
    return [case['runtime'], '{c_in} -> {c_out}, {size}x{size}'.format(**case)]


def faster(case: dict) -> float:
    """Time of five convolutions over that of the factorized form."""
    return case['times']['five']['p50'] / case['times']['factorized']['p50']


def table(record: dict) -> str:
    rows = []
    for case in record['results']['cases']:
        times = [spread(case['times'][form], 2) for form in FORMS]
        errors = ' and '.join(f'{case["errors"][form]:.0e}' for form in FORMS)
        rows.append([*place(case), *times, f'{faster(case):.2f}', errors])
    head = ['runtime', 'layer', 'factorized, ms', 'five, ms', 'five / factorized', 'errors']
    return to_markdown(head, rows, left=2) + source_of_spreads(record)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, threads=1, device='cpu', runtimes='')
