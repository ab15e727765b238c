"""PAC, exported in its factorized form and as five convolutions, in every runtime installed.

python -m benchmarks.export_runtimes
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import InTurn, fresh, main, measure_times, relative_error
from benchmarks.records import source_of_spreads, spread
from benchmarks.runtimes import OPENERS, PACKAGES, installed, versions
from mmseg_pacbal.layers import PyramidAtrousConv, prepare_export
from mmseg_pacbal.markdown import to_markdown

# C_in, C_out, side of the feature
CASES = (
    *((2048, 256, 33), (512, 256, 33), (256, 256, 33), (320, 128, 16)),
    *((128, 64, 33), (64, 64, 33), (32, 16, 17)),
)
FORMS = dict(factorized='factorized', five='reference')
MAX_ERROR = 1e-5


def measure(args: argparse.Namespace) -> dict:
    names = args.runtimes.split(',') if args.runtimes else installed()
    cases = [case(args, name, *shape) for name in names for shape in CASES]
    packages = [package for name in names for package in PACKAGES[name]]
    return dict(versions=versions(packages), cases=cases)


def case(args: argparse.Namespace, runtime: str, c_in: int, c_out: int, size: int) -> dict:
    """Times of both forms in a runtime, and their errors against PyTorch."""
    layer, features, x, expected = problem(c_in, c_out, size)
    runs, errors = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for form, layer.backend in FORMS.items():
            plain = prepare_export(layer, runtime).eval()
            model = OPENERS[runtime](plain, x, Path(folder) / form, args.threads)
            errors[form] = relative_error(torch.from_numpy(model(features[0])), expected)
            if not errors[form] <= MAX_ERROR:
                raise ValueError(f'{form} in {runtime} differs from PyTorch by {errors[form]:.1e}')
            runs[form] = InTurn(model, features)
        times = measure_times(runs, args.repeats)
    print(runtime, *x.shape, {form: taken['p50'] for form, taken in times.items()}, flush=True)
    return dict(runtime=runtime, c_in=c_in, c_out=c_out, size=size, errors=errors, times=times)


def problem(
    c_in: int, c_out: int, size: int
) -> tuple[PyramidAtrousConv, list[np.ndarray], Tensor, Tensor]:
    """A layer, features to be passed in turn, the first of them as a tensor, and its output."""
    shape = (1, c_in, size, size)
    features = fresh(lambda generator: torch.randn(shape, generator=generator).numpy())
    x = torch.from_numpy(features[0])
    torch.manual_seed(0)
    layer = PyramidAtrousConv(c_in, c_out, activation=None, backend='reference').eval()
    with torch.no_grad():
        return layer, features, x, layer(x)


def faster(case: dict) -> float:
    """Time of five convolutions over that of the factorized form."""
    return case['times']['five']['p50'] / case['times']['factorized']['p50']


def table(record: dict) -> str:
    rows = []
    for case in record['results']['cases']:
        times = [spread(case['times'][form], 2) for form in FORMS]
        shape = '{c_in} -> {c_out}, {size}x{size}'.format(**case)
        errors = ' and '.join(f'{case["errors"][form]:.0e}' for form in FORMS)
        rows.append([case['runtime'], shape, *times, f'{faster(case):.2f}', errors])
    head = ['runtime', 'layer', 'factorized, ms', 'five, ms', 'five / factorized', 'errors']
    return to_markdown(head, rows, left=2) + source_of_spreads(record)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, threads=1, device='cpu', runtimes='')
