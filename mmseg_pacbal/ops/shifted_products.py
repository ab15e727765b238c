"""The exact fast form of shared-filter atrous pyramids: products once, then shifted sums.

A convolution at rate r is a sum over the taps k of its filter: the product W_k x, a 1x1
convolution, shifted by r times the tap's offset (kn2row: Vasudevan, Anderson and Gregg 2017).
The filter is the same at every rate, so are the products: they are computed once, and each
further rate costs additions only.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .tap_products import (
    Shift,
    add_multiplied,
    add_outer_products,
    empty_maps,
    multiply,
    shifts,
    stack_taps,
    sum_dtype,
    unstack_taps,
    with_plain_layout,
)


def taps_outermost(weight: Tensor) -> Tensor:
    """The same (C_out, C_in, kh, kw) values, laid out in memory as (kh, kw, C_out, C_in)."""
    return weight.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)


def forward(x: Tensor, weight: Tensor, rates: Sequence[int], concat: bool) -> Tensor:
    r"""Convolutions with one filter at several rates, added or stacked along channels.

    .. math:: y(p) = \sum_r \sum_k (W_k x)(p + r \, o_k), \quad o_k = \text{offset of tap } k

    Args:
        x: (N, C_in, H, W).
        weight: (C_out, C_in, kh, kw) of x's dtype, kh and kw odd. Taps are read without a copy
            where they are outermost in memory (see :func:`taps_outermost`).
        rates: Atrous rates.
        concat: Whether each rate is an output of its own.

    Returns:
        (N, C_out, H, W), or (N, len(rates) * C_out, H, W) for concat; channels_last where x is.
        Half precision is summed in float32 and rounded once.
    """
    c_out, _, kh, kw = weight.shape
    features = with_plain_layout(x).flatten(2)  # (N, C_in, HW)
    rows = stack_taps(weight).chunk(kh)  # each (kw * C_out, C_in)
    out = empty_maps(x, (len(rates) if concat else 1) * c_out, sum_dtype(x)).zero_()
    groups = out.unflatten(1, (-1, c_out))  # (N, G, C_out, H, W)
    # One row of the filter at a time holds a third of the products of a 3x3 filter in memory.
    for row, row_shifts in enumerate(_by_row(weight, rates, concat)):
        products = multiply(rows[row], features).view(len(x), kw, c_out, *x.shape[2:])
        for tap, group, dy, dx, count in row_shifts:
            _add_shifted(groups[:, group], products[:, tap % kw], dy, dx, count)
        del products  # before those of the next row are made
    return out.to(x.dtype)


def backward(
    x: Tensor,
    weight: Tensor,
    grad: Tensor,
    rates: Sequence[int],
    concat: bool,
    needs_grad: Sequence[bool],
) -> list[Tensor]:
    """Those gradients of x and weight that are needed, from the gradient of the output.

    The products are not needed: neither are they kept, nor made again.
    """
    c_out, _, kh, kw = weight.shape
    features = with_plain_layout(x).flatten(2)  # (N, C_in, HW)
    rows = stack_taps(weight).chunk(kh)  # each (kw * C_out, C_in)
    groups = grad.unflatten(1, (-1, c_out))  # (N, G, C_out, H, W)
    grads = []
    if needs_grad[0]:
        grad_x = empty_maps(x, x.shape[1], x.dtype)
        grads.append(grad_x)
    if needs_grad[1]:
        grad_taps = rows[0].new_empty(kh, *rows[0].shape, dtype=sum_dtype(x))
    for row, row_shifts in enumerate(_by_row(weight, rates, concat)):
        row_grad = empty_maps(x, kw * c_out, sum_dtype(x)).zero_()
        columns = row_grad.unflatten(1, (kw, c_out))
        for tap, group, dy, dx, count in row_shifts:
            _add_shifted(columns[:, tap % kw], groups[:, group], -dy, -dx, count)
        row_grad = row_grad.to(x.dtype).flatten(2)  # (N, kw * C_out, HW)
        if needs_grad[0]:
            add_multiplied(grad_x.flatten(2), rows[row].T, row_grad, beta=min(row, 1))
        if needs_grad[1]:
            add_outer_products(grad_taps[row], row_grad, features, beta=0)
        del row_grad, columns  # before those of the next row are made
    if needs_grad[1]:
        grads.append(unstack_taps(grad_taps.to(weight.dtype), weight))
    return grads


def traceable(x: Tensor, weight: Tensor, rates: Sequence[int], concat: bool) -> Tensor:
    """The same as :func:`forward`, for exporters: no branch depends on H or W.

    It holds all products, padded, and is slower than :func:`forward` where torch runs it.
    """
    c_out, c_in, kh, kw = weight.shape
    h, w = x.shape[2:]
    top, left = max(rates) * (kh // 2), max(rates) * (kw // 2)
    taps = stack_taps(weight).view(kh * kw * c_out, c_in, 1, 1)
    products = F.pad(F.conv2d(x, taps), (left, left, top, top)).split(c_out, dim=1)
    groups: dict[int, Tensor] = {}
    for tap, group, dy, dx, count in shifts((kh, kw), rates, concat):
        shifted = products[tap][..., top + dy : top + dy + h, left + dx : left + dx + w]
        shifted = shifted if count == 1 else count * shifted
        groups[group] = groups[group] + shifted if group in groups else shifted
    return torch.cat([groups[i] for i in sorted(groups)], dim=1) if concat else groups[0]


def _by_row(weight: Tensor, rates: Sequence[int], concat: bool) -> list[list[Shift]]:
    kh, kw = weight.shape[2:]
    every = shifts((kh, kw), rates, concat)
    return [[shift for shift in every if shift.tap // kw == row] for row in range(kh)]


def _add_shifted(out: Tensor, maps: Tensor, dy: int, dx: int, count: int) -> None:
    """out(p) += count * maps(p + (dy, dx)), both (N, C, H, W), maps zero beyond the image."""
    h, w = out.shape[2:]
    if abs(dy) < h and abs(dx) < w:
        (here_y, there_y), (here_x, there_x) = _overlap(dy, h), _overlap(dx, w)
        out[..., here_y, here_x].add_(maps[..., there_y, there_x], alpha=count)


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """Slices of a line and of the same line moved by shift, where both lie in the image."""
    return (
        slice(max(0, -shift), length - max(0, shift)),
        slice(max(0, shift), length + min(0, shift)),
    )
