"""The exact fast form of shared-filter atrous pyramids: products once, then shifted sums.

A convolution at rate r is a sum over the taps k of its filter: the product W_k x, a 1x1
convolution, shifted by r times the tap's offset (kn2row: Vasudevan, Anderson and Gregg 2017).
The filter is the same at every rate, so are the products: they are computed once, and each
further rate costs additions only.
"""

from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Groups = tuple[tuple[int, ...], ...]


def shifted_products(x: Tensor, weight: Tensor, groups: Groups) -> Tensor:
    r"""Sum of convolutions over the rates of each group, all groups from the same products.

    .. math:: y_g(p) = \sum_{r \in g} \sum_k (W_k x)(p + r \, o_k), \quad o_k = \text{tap offset}

    Args:
        x: (N, C_in, H, W).
        weight: (C_out, C_in, kh, kw) of x's dtype, kh and kw odd. Taps are read without a copy
            where they are outermost in memory (see :func:`taps_outermost`).
        groups: Atrous rates of each output.

    Returns:
        (N, len(groups) * C_out, H, W), channels_last where x is. Half precision is summed in
        float32 and rounded once. The backward pass keeps x and weight, never the products; it
        can be differentiated once.
    """
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _ShiftedProducts.apply(x, weight, groups)
    return _forward(x, weight, groups)


def taps_outermost(weight: Tensor) -> Tensor:
    """The same (C_out, C_in, kh, kw) values, laid out in memory as (kh, kw, C_out, C_in)."""
    return weight.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)


class _ShiftedProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, groups: Groups) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.groups = groups
        return _forward(x, weight, groups)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        grad_x, grad_weight = _backward(x, weight, ctx.groups, grad, ctx.needs_input_grad)
        return grad_x, grad_weight, None


def _forward(x: Tensor, weight: Tensor, groups: Groups) -> Tensor:
    c_out, _, kh, kw = weight.shape
    n, _, h, w = x.shape
    features = _with_plain_layout(x).flatten(2)  # (N, C_in, HW)
    taps = weight.permute(2, 3, 0, 1).flatten(1, 2)  # (kh, kw * C_out, C_in)
    out = _zeros(x, len(groups) * c_out)
    out_groups = out.unflatten(1, (len(groups), c_out))
    # One row of the filter at a time holds a third of the products of a 3x3 filter in memory.
    for row in range(kh):
        products = _multiply(taps[row], features).view(n, kw, c_out, h, w)
        for column, group, count, here, there in _shifts(row, kh, kw, groups, h, w):
            out_groups[:, group][here].add_(products[:, column][there], alpha=count)
    return out.to(x.dtype)


def _backward(
    x: Tensor, weight: Tensor, groups: Groups, grad: Tensor, needs_grad: tuple[bool, ...]
) -> tuple[Tensor | None, Tensor | None]:
    c_out, c_in, kh, kw = weight.shape
    n, _, h, w = x.shape
    x = _with_plain_layout(x)
    features = x.flatten(2)  # (N, C_in, HW)
    taps = weight.permute(2, 3, 0, 1).flatten(1, 2)  # (kh, kw * C_out, C_in)
    grad_groups = grad.unflatten(1, (len(groups), c_out))
    grad_x = torch.zeros_like(x) if needs_grad[0] else None
    grad_taps = taps.new_zeros(taps.shape, dtype=_sum_dtype(x)) if needs_grad[1] else None
    for row in range(kh):
        grad_products = _zeros(x, kw * c_out)
        by_column = grad_products.unflatten(1, (kw, c_out))
        for column, group, count, here, there in _shifts(row, kh, kw, groups, h, w):
            by_column[:, column][there].add_(grad_groups[:, group][here], alpha=count)
        grad_products = grad_products.to(x.dtype).flatten(2)  # (N, kw * C_out, HW)
        if grad_x is not None:
            _add_multiplied(grad_x.flatten(2), taps[row].T, grad_products)
        if grad_taps is not None:
            for image in range(n):
                grad_taps[row].add_(grad_products[image] @ features[image].T)
    if grad_taps is not None:
        grad_taps = grad_taps.to(weight.dtype).view(kh, kw, c_out, c_in).permute(2, 3, 0, 1)
    return grad_x, grad_taps


def _shifts(
    row: int, kh: int, kw: int, groups: Groups, h: int, w: int
) -> Iterator[tuple[int, int, int, tuple, tuple]]:
    """Every distinct shift of one filter row: its column and group, how often it occurs, and the
    slices of the output and of the product that it matches. Shifts beyond the image reach
    zeros only and are left out."""
    for column in range(kw):
        for group, rates in enumerate(groups):
            offsets = Counter(((row - kh // 2) * r, (column - kw // 2) * r) for r in rates)
            for (dy, dx), count in offsets.items():
                if abs(dy) < h and abs(dx) < w:
                    (here_y, there_y), (here_x, there_x) = _overlap(dy, h), _overlap(dx, w)
                    yield column, group, count, (..., here_y, here_x), (..., there_y, there_x)


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """Slices of a line and of the same line moved by shift, where both lie in the image."""
    return (
        slice(max(0, -shift), length - max(0, shift)),
        slice(max(0, shift), length + min(0, shift)),
    )


def _is_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _with_plain_layout(x: Tensor) -> Tensor:
    """x itself where it is contiguous or channels_last, else a contiguous copy."""
    return x if _is_channels_last(x) else x.contiguous()


def _sum_dtype(x: Tensor) -> torch.dtype:
    """Sums of half precision terms are taken in float32."""
    return torch.promote_types(x.dtype, torch.float32)


def _zeros(x: Tensor, channels: int) -> Tensor:
    """(N, channels, H, W) to sum in, in the memory format of x."""
    layout = torch.channels_last if _is_channels_last(x) else torch.contiguous_format
    shape = (x.shape[0], channels, *x.shape[2:])
    return torch.empty(shape, dtype=_sum_dtype(x), device=x.device, memory_format=layout).zero_()


def _multiply(matrix: Tensor, features: Tensor) -> Tensor:
    """(T, C) x (N, C, P) -> (N, T, P), in the memory layout of features."""
    if features.stride(1) == 1:  # channels_last: channels are innermost
        return (features.transpose(1, 2) @ matrix.T).transpose(1, 2)
    return matrix @ features


def _add_multiplied(out: Tensor, matrix: Tensor, features: Tensor) -> None:
    """out (N, T, P) += matrix (T, C) x features (N, C, P)."""
    matrices = matrix.expand(len(features), -1, -1)
    if out.stride(1) == 1:
        out.transpose(1, 2).baddbmm_(features.transpose(1, 2), matrices.transpose(1, 2))
    else:
        out.baddbmm_(matrices, features)
