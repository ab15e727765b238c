"""The Triton kernel of the shifted sums against a copy, on a GPU.

python -m benchmarks.gather_kernel

The kernel's bandwidth counts every element that it must read or write once.
"""

import argparse
import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import main, measure_times, relative_error
from benchmarks.pyramid_atrous_conv import RATES
from benchmarks.records import median, source
from mmseg_pacbal.markdown import to_markdown

C_OUT = 256
KERNEL = (3, 3)
LAYOUTS = dict(contiguous=torch.contiguous_format, channels_last=torch.channels_last)


def measure(args: argparse.Namespace) -> list[dict]:
    if args.device == 'cpu':
        raise SystemExit('error: the Triton kernel is for GPUs, and none is found here')
    cases = itertools.product((33, 65), (torch.float32, torch.bfloat16), LAYOUTS)
    return [case(args, 16, C_OUT, size, dtype, layout) for size, dtype, layout in cases]


def case(
    args: argparse.Namespace, batch: int, c_out: int, size: int, dtype: torch.dtype, layout: str
) -> dict:
    """Times and bytes of both directions and of a copy of the products."""
    # Triton need not be installed where the other benchmarks run.
    from mmseg_pacbal.ops.triton.factorized import gather, gradient_terms, output_terms

    generator = torch.Generator().manual_seed(0)
    maps = torch.randn((batch, c_out, size, size), generator=generator).to(args.device, dtype)
    maps = maps.contiguous(memory_format=LAYOUTS[layout])
    # Any products will do: the same maps for every tap.
    products = maps.repeat(1, KERNEL[0] * KERNEL[1], 1, 1)
    products = products.contiguous(memory_format=LAYOUTS[layout])
    out, copy = torch.empty_like(maps), torch.empty_like(products)
    sums, gradients = (terms(KERNEL, RATES, False) for terms in (output_terms, gradient_terms))
    runs = {
        'copy': lambda: copy.copy_(products),
        'outputs': lambda: gather(products.flatten(2), out, c_out, sums),
        'gradients': lambda: gather(maps.flatten(2), copy, c_out, gradients),
    }
    for name, result in (('outputs', out), ('gradients', copy)):
        runs[name]()
        check_equal(result.unflatten(1, (-1, c_out)).double().sum(1), maps)
    moved = dict.fromkeys(runs, maps.nbytes + products.nbytes) | dict(copy=2 * products.nbytes)
    times = measure_times(runs, args.repeats, args.device)
    where = dict(batch=batch, c_out=c_out, size=size, dtype=str(dtype), layout=layout)
    return dict(**where, times=times, moved=moved)


def check_equal(sums: Tensor, maps: Tensor) -> None:
    """A map gathered by every tap and rate is one convolution for each rate, with ones.

    The offsets of the taps are symmetric, so this holds in both directions.
    """
    ones = torch.ones(maps.shape[1], 1, *KERNEL, dtype=torch.float64, device=maps.device)
    expected = sum(
        F.conv2d(maps.double(), ones, padding=rate, dilation=rate, groups=maps.shape[1])
        for rate in RATES
    )
    error = relative_error(sums, expected)
    if error > 1e-2:
        raise ValueError(f'the kernel differs from the convolutions by {error:.1e}')


def table(record: dict) -> str:
    """Bytes per second."""
    rows = []
    for case in record['results']:
        where = [str(case[key]) for key in ('batch', 'size', 'dtype', 'layout')]
        speeds = [case['moved'][name] / median(times) for name, times in case['times'].items()]
        rows.append([*where, *(f'{speed / 1e9:.0f} GB/s' for speed in speeds)])
    head = ['batch', 'size', 'dtype', 'layout', 'a copy', 'outputs', 'gradients']
    return to_markdown(head, rows, left=4) + source(record)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table)
