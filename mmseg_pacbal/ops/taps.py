"""What both factorized forms share: the taps of a filter, their shifts and their matrix.

A tap is a position in the filter; taps are counted row by row. The product of a tap is the
features' 1x1 convolution with the tap's weights.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Shift(NamedTuple):
    """One term of the sum that makes an output.

    To output number ``group``, at every position p, add ``times`` * (product of ``tap`` at
    p + (dy, dx)). ``group`` is 0 if the rates are added up, and otherwise the index of the rate.
    """

    tap: int
    group: int
    dy: int
    dx: int
    times: int


def shifts(kernel: tuple[int, int], rates: Sequence[int], concat: bool) -> tuple[Shift, ...]:
    """Every distinct shift, in the order of taps; with concat each rate is a group."""
    kh, kw = kernel
    counts = Counter(
        (y * kw + x, index if concat else 0, (y - kh // 2) * rate, (x - kw // 2) * rate)
        for y in range(kh)
        for x in range(kw)
        for index, rate in enumerate(rates)
    )
    return tuple(Shift(*where, count) for where, count in counts.items())


def stack_taps(weight: Tensor) -> Tensor:
    """(C_out, C_in, kh, kw) -> (C_in, kh * kw * C_out), a view where outputs are innermost."""
    return weight.permute(1, 2, 3, 0).flatten(1)


def unstack_taps(matrix: Tensor, weight: Tensor) -> Tensor:
    """(C_in, kh * kw * C_out) -> the shape of weight, a view with outputs innermost."""
    c_out, c_in, kh, kw = weight.shape
    return matrix.view(c_in, kh, kw, c_out).permute(3, 0, 1, 2)


def outputs_innermost(weight: Tensor) -> Tensor:
    """The same (C_out, C_in, kh, kw) values, laid out in memory as (C_in, kh, kw, C_out)."""
    return unstack_taps(stack_taps(weight).contiguous(), weight)


def is_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def with_plain_layout(x: Tensor) -> Tensor:
    """x itself where it is contiguous or channels_last, else a contiguous copy."""
    return x if is_channels_last(x) else x.contiguous()


def empty_maps(x: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    """Uninitialised (N, channels, H, W) in the memory format of x (N, C, H, W)."""
    layout = torch.channels_last if is_channels_last(x) else torch.contiguous_format
    shape = (x.shape[0], channels, *x.shape[2:])
    return torch.empty(shape, dtype=dtype, device=x.device, memory_format=layout)


def sum_dtype(x: Tensor) -> torch.dtype:
    """Sums of half precision terms are taken in float32."""
    return torch.promote_types(x.dtype, torch.float32)


def add_product(out: Tensor, a: Tensor, b: Tensor, beta: int = 1) -> None:
    """out = beta * out + a @ b, where half precision is summed in float32."""
    if out.dtype == a.dtype:
        out.addmm_(a, b, beta=beta)
    elif beta:
        out.add_(a @ b)
    else:
        out.copy_(a @ b)
