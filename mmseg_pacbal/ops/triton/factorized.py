"""The factorized form for CUDA: matrix products by cuBLAS, all shifted sums in one Triton kernel.

The kernel gathers: every element of its output is written once, by the program that sums it.
The gradient of a gather over shifts is a gather over the opposite shifts, so one kernel serves
both directions.

Block sizes follow from the memory layout alone; in a sweep on an H200 no other ones were much
faster. docs/benchmarks.md compares the kernel with a copy.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..factorized import (
    accumulate_matmul,
    empty_like_layout,
    memory_format,
    shifts,
    stack_taps,
    with_plain_layout,
)

# What maps sum up: target map, source map, dy, dx, count; in the order of targets.
Terms = tuple[tuple[int, int, int, int, int], ...]


def forward(x: Tensor, weight: Tensor, rates: Sequence[int], concat: bool) -> Tensor:
    """See ``mmseg_pacbal.ops.factorized.forward``."""
    c_out = len(weight)
    terms = output_terms(weight.shape[2:], rates, concat)
    x = with_plain_layout(x)
    out = empty_like_layout(x, (terms[-1][0] + 1) * c_out)
    matrix = stack_taps(weight)  # (kh * kw * C_out, C_in)
    for x_part, out_part in _in_parts(x, out):
        products = _multiply(matrix, x_part.flatten(2))  # (n, kh * kw * C_out, HW)
        gather(products, out_part, c_out, terms)
    return out


def backward(
    x: Tensor,
    weight: Tensor,
    grad: Tensor,
    rates: Sequence[int],
    concat: bool,
    needs_grad: Sequence[bool],
) -> list[Tensor]:
    """See ``mmseg_pacbal.ops.factorized.backward``."""
    c_out, _, kh, kw = weight.shape
    terms = gradient_terms((kh, kw), rates, concat)
    x = with_plain_layout(x)
    matrix = stack_taps(weight)  # (kh * kw * C_out, C_in)
    grad_x = torch.empty_like(x)
    grad_matrix = None
    parts = _in_parts(x, grad.contiguous(memory_format=memory_format(x)), grad_x)
    for x_part, grad_part, grad_x_part in parts:
        products_grad = empty_like_layout(x_part, len(matrix))
        gather(grad_part.flatten(2), products_grad, c_out, terms)
        if needs_grad[0]:
            _multiply(matrix.T, products_grad.flatten(2), out=grad_x_part.flatten(2))
        if needs_grad[1]:
            for image, image_grad in zip(x_part, products_grad, strict=True):
                part = image_grad.flatten(1), image.flatten(1).T
                grad_matrix = accumulate_matmul(grad_matrix, *part)
    grad_weight = torch.zeros_like(weight, memory_format=memory_format(weight))
    if grad_matrix is not None:
        grad_weight.copy_(grad_matrix.unflatten(0, (kh, kw, c_out)).permute(2, 3, 0, 1))
    return [g for g, needed in zip((grad_x, grad_weight), needs_grad, strict=True) if needed]


def output_terms(kernel: Sequence[int], rates: Sequence[int], concat: bool) -> Terms:
    """What the outputs sum: maps of products, of one output or one for each rate."""
    terms = shifts((kernel[0], kernel[1]), rates, concat)
    return tuple(sorted((group, tap, dy, dx, count) for tap, group, dy, dx, count in terms))


def gradient_terms(kernel: Sequence[int], rates: Sequence[int], concat: bool) -> Terms:
    """What the gradients of the products sum, tap by tap: maps of the outputs' gradients."""
    terms = shifts((kernel[0], kernel[1]), rates, concat)
    return tuple((tap, group, -dy, -dx, count) for tap, group, dy, dx, count in terms)


def _in_parts(*tensors: Tensor) -> zip:
    """A quarter of the batch at a time, so that all products of the batch are never held."""
    images = max(1, -(-len(tensors[0]) // 4))
    return zip(*(tensor.split(images) for tensor in tensors), strict=True)


def _multiply(matrix: Tensor, features: Tensor, out: Tensor | None = None) -> Tensor:
    """(T, C) x (N, C, P) -> (N, T, P), in the memory layout of features, which out shares."""
    if features.stride(1) == 1:  # channels_last: channels are innermost
        return torch.matmul(features.mT, matrix.T, out=None if out is None else out.mT).mT
    # Not `matrix @ features`, which copies features for a product of other shape.
    return torch.bmm(matrix.expand(len(features), -1, -1), features, out=out)


def gather(maps: Tensor, out: Tensor, channels: int, terms: Terms) -> None:
    """out_i(p) = sum of count * maps_j(p + (dy, dx)) over the terms (i, j, dy, dx, count) of i.

    Args:
        maps: (N, J * channels, HW), zero beyond the image.
        out: (N, I * channels, H, W), written.
        channels: Of each map.
        terms: Of all I outputs.
    """
    if out.numel() == 0:
        return
    n, _, h, w = out.shape
    out = out.flatten(2)  # (N, I * channels, HW)
    # Neighbours in memory are neighbours in a block: channels in channels_last, else pixels.
    block_pixels, block_channels = (16, 64) if out.stride(1) == 1 else (256, 2)
    grid = (triton.cdiv(h * w, block_pixels), triton.cdiv(channels, block_channels), n)
    with torch.cuda.device_of(out):
        gather_kernel[grid](
            maps, out, h, w, channels, *maps.stride(), *out.stride(), **flattened(terms),
            block_pixels=block_pixels, block_channels=block_channels,
        )  # fmt: skip


@lru_cache
def flattened(terms: Terms) -> dict[str, Any]:
    """The constants of the kernel: the five numbers of each term, and how many terms there are.

    After the last term stands a target that is none. Triton compiles a tuple of numbers, but (3.7)
    no tuple of tuples.
    """
    return dict(terms=(*chain.from_iterable(terms), -1), num_terms=len(terms))


@triton.jit
def gather_kernel(
    maps, out, h, w, channels,
    maps_stride_n, maps_stride_c, maps_stride_p,
    out_stride_n, out_stride_c, out_stride_p,
    terms: tl.constexpr, num_terms: tl.constexpr,
    block_pixels: tl.constexpr, block_channels: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0) * block_pixels + tl.arange(0, block_pixels)[:, None]
    channel = tl.program_id(1) * block_channels + tl.arange(0, block_channels)[None, :]
    image = tl.program_id(2).to(tl.int64)
    inside = (pixel < h * w) & (channel < channels)
    y, x = pixel // w, pixel % w
    # A tensor may have more than 2^31 elements: offsets are int64. What differs from term to term
    # is a number that all elements of the block share, so they compute their addresses once.
    pixel, channel = pixel.to(tl.int64), channel.to(tl.int64)
    maps += image * maps_stride_n + channel * maps_stride_c + pixel * maps_stride_p
    out += image * out_stride_n + channel * out_stride_c + pixel * out_stride_p
    zero = tl.full((), 0, tl.int64)  # makes a number int64, one known to the compiler, too
    sum_type: tl.constexpr = tl.float64 if out.dtype.element_ty == tl.float64 else tl.float32
    total = tl.zeros((block_pixels, block_channels), dtype=sum_type)
    for term in tl.static_range(num_terms):
        target = terms[5 * term]
        source = terms[5 * term + 1]
        dy = terms[5 * term + 2]
        dx = terms[5 * term + 3]
        count = terms[5 * term + 4]
        valid = (y + dy >= 0) & (y + dy < h) & (x + dx >= 0) & (x + dx < w)
        offset = (zero + source * channels) * maps_stride_c + (zero + dy * w + dx) * maps_stride_p
        value = tl.load(maps + offset, mask=inside & valid, other=0.0)
        total += count * value.to(sum_type)
        if terms[5 * term + 5] != target:  # that was its last term
            offset = (zero + target * channels) * out_stride_c
            tl.store(out + offset, total.to(out.dtype.element_ty), mask=inside)
            total = tl.zeros((block_pixels, block_channels), dtype=sum_type)
