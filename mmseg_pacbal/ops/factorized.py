"""The exact factorized form of atrous pyramids: products once, then shifted sums.

A convolution at rate r is a sum over the taps k of its filter: the product W_k x, a 1x1
convolution, shifted by r times the tap's offset (kn2row: Vasudevan, Anderson and Gregg 2017).
The filter is the same at every rate, and so are the products: they are computed once, and each
further rate costs additions only. Taps are counted row by row.

Shifted sums are embedding bags. The products form a table with a row of C_out values for every
pixel and tap. The outputs form a table with a row for every pixel or, if the rates are kept apart,
for every pixel and rate. A shifted sum adds whole rows, the same ones for all channels. torch has
fast kernels for this, which write every row of the result once and sum half precision in float32.
"""

from collections import Counter
from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .caching import cached_tensors

# Multiplications saved for a pixel, tap and output, from which on factorizing pays.
MIN_SAVED = 128
# Limit for the products that are held at once; for a larger image they are computed for a few taps
# at a time. The C library keeps freed blocks of up to 32 MB for the next call; the pages of larger
# ones are mapped again every time.
MAX_BYTES = 24 * 2**20


def choose_by_rule(channels: int, rates: Sequence[int]) -> str:
    """``'reference'`` or ``'factorized'``, by what the factorized form saves.

    For every pixel, tap and output it saves C_in * (rates - 1) multiplications and costs one
    addition for each rate, which a convolution does at no extra cost. The saving from which on it
    is faster was measured on a CPU, in inference and in training, in float32 and bfloat16
    (docs/pyramid_atrous_conv.md). ``channels`` is C_in.
    """
    return 'factorized' if channels * (len(rates) - 1) >= MIN_SAVED else 'reference'


def forward(x: Tensor, weight: Tensor, rates: Sequence[int], concat: bool) -> Tensor:
    r"""Convolutions with one filter at several rates, added or stacked along channels.

    .. math:: y(p) = \sum_r \sum_k (W_k x)(p + r \, o_k), \quad o_k = \text{offset of tap } k

    Args:
        x: (N, C_in, H, W).
        weight: (C_out, C_in, kh, kw) of x's dtype, kh and kw odd. It is read without a copy
            where outputs are innermost in memory (see :func:`outputs_innermost`).
        rates: Atrous rates.
        concat: Whether there is an output for each rate.

    Returns:
        (N, C_out, H, W), or (N, len(rates) * C_out, H, W) for concat; channels_last where x is.
        Half precision is summed in float32.
    """
    c_out = len(weight)
    pattern = ShiftPattern.of(x, weight, rates, concat)
    matrix = stack_taps(weight)  # (C_in, kh * kw * C_out)
    groups = _groups_of_taps(x, weight)
    out = empty_like_layout(x, (len(rates) if concat else 1) * c_out)
    # One image at a time: the matrices are large, and the products of one image are enough to hold.
    for image, maps in zip(with_plain_layout(x).flatten(2), out.flatten(2), strict=True):
        sums = (
            add_shifted((image.T @ matrix[:, columns]).view(-1, c_out), pattern, taps)
            for taps, columns in groups
        )
        total = reduce(Tensor.add_, (part.to(accumulation_dtype(x)) for part in sums))
        maps.copy_(total.view(maps.mT.shape).T)
    return out


def backward(
    x: Tensor,
    weight: Tensor,
    grad: Tensor,
    rates: Sequence[int],
    concat: bool,
    needs_grad: Sequence[bool],
) -> list[Tensor]:
    """Those gradients of x and weight that are needed, from the gradient of the output.

    They do not depend on the products, which are neither kept nor computed again.
    """
    c_out = len(weight)
    pattern = ShiftPattern.of(x, weight, rates, concat)
    matrix = stack_taps(weight)  # (C_in, kh * kw * C_out)
    groups = _groups_of_taps(x, weight)
    grad_x = empty_like_layout(x, x.shape[1])
    like = torch.empty_like if len(x) else torch.zeros_like  # the first image fills it
    grad_matrix = like(matrix, dtype=accumulation_dtype(x))
    grad = grad.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
    for n, image in enumerate(with_plain_layout(x).flatten(2)):
        rows = grad[n].reshape(-1, c_out)
        for taps, columns in groups:
            products_grad = add_shifted(rows, pattern, taps, True)
            products_grad = products_grad.view(image.shape[1], -1)  # (HW, taps * C_out)
            if needs_grad[0]:
                maps = grad_x[n].flatten(1)
                maps.addmm_(matrix[:, columns], products_grad.T, beta=min(taps.start, 1))
            if needs_grad[1]:
                accumulate_matmul(grad_matrix[:, columns], image, products_grad, beta=min(n, 1))
            del products_grad  # before the next taps' gradient is computed
    grads = [grad_x] if needs_grad[0] else []
    if needs_grad[1]:
        grads.append(unstack_taps(grad_matrix.to(weight.dtype), weight))
    return grads


def traceable(x: Tensor, weight: Tensor, rates: Sequence[int], concat: bool) -> Tensor:
    """The same as :func:`forward`, for exporters: no branch depends on H or W.

    It holds all products, padded, and is slower than :func:`forward` where torch runs it.
    """
    c_out, c_in, kh, kw = map(int, weight.shape)  # torch.jit.trace has tensors here
    h, w = x.shape[2:]
    top, left = max(rates) * (kh // 2), max(rates) * (kw // 2)
    taps = stack_taps(weight).T.reshape(kh * kw * c_out, c_in, 1, 1)
    products = F.pad(F.conv2d(x, taps), (left, left, top, top)).split(c_out, dim=1)
    groups: dict[int, Tensor] = {}
    for tap, group, dy, dx, count in shifts((kh, kw), rates, concat):
        shifted = products[tap][..., top + dy : top + dy + h, left + dx : left + dx + w]
        shifted = shifted if count == 1 else count * shifted
        groups[group] = groups[group] + shifted if group in groups else shifted
    return torch.cat([groups[i] for i in sorted(groups)], dim=1) if concat else groups[0]


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


class ShiftPattern(NamedTuple):
    """What decides which rows a shifted sum adds."""

    size: tuple[int, int]  # height and width of the image
    kernel: tuple[int, int]
    rates: tuple[int, ...]
    concat: bool  # whether there is an output for each rate
    device: torch.device

    @classmethod
    def of(cls, x: Tensor, weight: Tensor, rates: Sequence[int], concat: bool) -> 'ShiftPattern':
        (h, w), (kh, kw) = x.shape[2:], weight.shape[2:]
        return cls((h, w), (kh, kw), tuple(rates), concat, x.device)


def add_shifted(
    table: Tensor, pattern: ShiftPattern, taps: range, transposed: bool = False
) -> Tensor:
    r"""Outputs from the products of some taps.

    .. math:: y(p, r) = \sum_k W_k x(p + r \, o_k), \quad o_k = \text{offset of tap } k

    summed over the rates as well unless ``concat``; or, transposed, the gradients of the products
    from those of the outputs.

    Args:
        table: Products, (H * W * len(taps), C_out); transposed: gradients of outputs,
            (H * W, C_out), or (H * W * len(rates), C_out) for ``concat``.
        pattern: Its shape.
        taps: Positions in the kernel, row by row.
        transposed: Whether to go from outputs to products, whose shape the result then has.
    """
    rows, offsets = _bags(pattern, taps, transposed)
    return F.embedding_bag(rows, table, offsets, mode='sum', include_last_offset=True)


# A training step uses one entry for each direction and group of taps; images may differ in size.
# Those of one map of 513x513 at five rates take 104 MB, those of 33x33 take 0.4 MB.
@cached_tensors(max_bytes=2**27)
def _bags(pattern: ShiftPattern, taps: range, transposed: bool) -> tuple[Tensor, Tensor]:
    """The rows of one table that each row of the other adds up, as ``F.embedding_bag`` takes them.

    Returns:
        The indices of all bags, one bag after another, and where each bag begins and the last ends.
    """
    (h, w), (kh, kw), rates, concat, device = pattern
    sign = -1 if transposed else 1
    # Axes: y, x, tap, rate.
    tap = torch.arange(taps.start, taps.stop, device=device)[:, None]
    rate = torch.tensor(rates, device=device)
    y = torch.arange(h, device=device)[:, None, None, None] + sign * rate * (tap // kw - kh // 2)
    x = torch.arange(w, device=device)[:, None, None] + sign * rate * (tap % kw - kw // 2)
    inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
    pixel = y * w + x
    if transposed:
        bags = h * w * len(taps)
        rows = pixel * len(rates) + torch.arange(len(rates), device=device) if concat else pixel
    else:
        bags = h * w * (len(rates) if concat else 1)
        rows = pixel * len(taps) + tap - taps.start
        if concat:
            rows, inside = rows.mT, inside.mT
    inside = inside.reshape(bags, -1)
    ends = inside.sum(1).cumsum(0)
    return rows.reshape(bags, -1)[inside].int(), F.pad(ends, (1, 0)).int()


def _groups_of_taps(x: Tensor, weight: Tensor) -> list[tuple[range, slice]]:
    """Taps whose products are held at once, and their columns in :func:`stack_taps`' matrix."""
    (c_out, _, kh, kw), (h, w) = weight.shape, x.shape[2:]
    size = max(1, MAX_BYTES // (h * w * c_out * x.element_size()))
    groups = (range(kh * kw)[first : first + size] for first in range(0, kh * kw, size))
    return [(taps, slice(taps.start * c_out, taps.stop * c_out)) for taps in groups]


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


def empty_like_layout(x: Tensor, channels: int) -> Tensor:
    """Uninitialised (N, channels, H, W) in the dtype and memory format of x (N, C, H, W)."""
    layout = torch.channels_last if is_channels_last(x) else torch.contiguous_format
    shape = (x.shape[0], channels, *x.shape[2:])
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)


def accumulation_dtype(x: Tensor) -> torch.dtype:
    """Sums of half precision terms are taken in float32."""
    return torch.promote_types(x.dtype, torch.float32)


def accumulate_matmul(out: Tensor, a: Tensor, b: Tensor, beta: int = 1) -> None:
    """out = beta * out + a @ b, where half precision is summed in float32."""
    if out.dtype == a.dtype:
        out.addmm_(a, b, beta=beta)
    elif beta:
        out.add_(a @ b)
    else:
        out.copy_(a @ b)
