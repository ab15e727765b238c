"""What both fast forms of the pyramid share: which product goes where, and the matrix products.

Taps are the positions of a filter, in rows; a tap's product is the 1x1 convolution with its
weights.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Shift(NamedTuple):
    """``times`` times, the product of ``tap`` at p + (dy, dx) enters output ``group`` at p."""

    tap: int
    group: int
    dy: int
    dx: int
    times: int


def shifts(kernel: tuple[int, int], rates: Sequence[int], concat: bool) -> tuple[Shift, ...]:
    """Every distinct shift, in the order of taps; with concat each rate is a group of its own."""
    kh, kw = kernel
    counts = Counter(
        (y * kw + x, index if concat else 0, (y - kh // 2) * rate, (x - kw // 2) * rate)
        for y in range(kh)
        for x in range(kw)
        for index, rate in enumerate(rates)
    )
    return tuple(Shift(*where, count) for where, count in counts.items())


def stack_taps(weight: Tensor) -> Tensor:
    """(C_out, C_in, kh, kw) -> (kh * kw * C_out, C_in), a view where taps are outermost."""
    return weight.permute(2, 3, 0, 1).flatten(0, 2)


def unstack_taps(taps: Tensor, weight: Tensor) -> Tensor:
    """(kh * kw * C_out, C_in) -> the shape of weight, without a copy."""
    c_out, c_in, kh, kw = weight.shape
    return taps.view(kh, kw, c_out, c_in).permute(2, 3, 0, 1)


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


def multiply(matrix: Tensor, features: Tensor) -> Tensor:
    """(T, C) x (N, C, P) -> (N, T, P), in the memory layout of features."""
    if features.stride(1) == 1:  # channels_last: channels are innermost
        return (features.mT @ matrix.T).mT
    # Not `matrix @ features`, which copies features for a product of other shape.
    return torch.bmm(matrix.expand(len(features), -1, -1), features)


def add_multiplied(out: Tensor, matrix: Tensor, features: Tensor, beta: int = 1) -> None:
    """out (N, T, P) = beta * out + matrix (T, C) x features (N, C, P)."""
    matrices = matrix.expand(len(features), -1, -1)
    if out.stride(1) == 1:
        out, matrices, features = out.mT, features.mT, matrices.mT
    out.baddbmm_(matrices, features, beta=beta)


def add_outer_products(out: Tensor, first: Tensor, second: Tensor, beta: int = 1) -> None:
    """out (T, C) = beta * out + the sum over n and p of first (N, T, P) x second (N, C, P)."""
    for a, b in zip(first, second, strict=True):
        if out.dtype == a.dtype:
            out.addmm_(a, b.T, beta=beta)
        elif beta:  # half precision, summed over images in float32
            out.add_(a @ b.T)
        else:
            out.copy_(a @ b.T)
        beta = 1
    if beta == 0:  # no image: nothing was written
        out.zero_()
