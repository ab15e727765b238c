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
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .caching import cached_tensors

# Multiplications saved for a pixel, tap and output, from which on factorizing pays.
MIN_SAVED = 128
# Limit for the products that are held at once, with the part of the filter that they take. The C
# library keeps freed blocks of up to 32 MB for the next call; the pages of larger ones are mapped
# again every time.
MAX_BYTES = 16 * 2**20


def choose_by_rule(channels: int, rates: Sequence[int], min_saved: float = MIN_SAVED) -> str:
    """``'reference'`` or ``'factorized'``, by what the factorized form saves.

    For every pixel, tap and output it saves C_in * (rates - 1) multiplications and costs one
    addition for each rate, which a convolution does at no extra cost. The saving from which on it
    is faster was measured on a CPU, in inference and in training, in float32 and bfloat16
    (docs/pyramid_atrous_conv.md); another runtime has another ``min_saved``. ``channels`` is C_in.
    """
    return 'factorized' if channels * (len(rates) - 1) >= min_saved else 'reference'


def forward(x: Tensor, weight: Tensor, rates: Sequence[int], concat: bool) -> Tensor:
    r"""Convolutions with one filter at several rates, added or stacked along channels.

    .. math:: y(p) = \sum_r \sum_k (W_k x)(p + r \, o_k), \quad o_k = \text{offset of tap } k

    Args:
        x: (N, C_in, H, W).
        weight: (C_out, C_in, kh, kw) of x's dtype, kh and kw odd.
        rates: Atrous rates.
        concat: Whether there is an output for each rate.

    Returns:
        (N, C_out, H, W), or (N, len(rates) * C_out, H, W) for concat; channels_last where x is.
        Half precision is summed in float32.
    """
    pattern = ShiftPattern.of(x, weight, rates, concat)
    groups, taps = len(rates) if concat else 1, weight[0, 0].numel()
    out = empty_like_layout(x, groups * len(weight))
    maps = out.unflatten(1, (groups, len(weight)))  # (N, groups, C_out, H, W)
    pixels = pixel_rows(x)
    if x.element_size() < 4:  # products of half precision are faster, by more than a copy takes
        pixels = pixels.contiguous()
    for outputs, all_images in _parts(pixels, weight):
        matrix = stack_taps(weight[outputs])  # (kh * kw * c, C_in)
        for images in all_images:
            products = (pixels[images].flatten(0, 1) @ matrix.T).view(-1, len(matrix) // taps)
            sums = add_shifted(products, pattern).view(-1, *x.shape[2:], groups, products.shape[1])
            maps[images, :, outputs] = sums.permute(0, 3, 4, 1, 2)
            del products  # before the next ones are computed
        del matrix
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
    pattern = ShiftPattern.of(x, weight, rates, concat)
    pixels = pixel_rows(x)
    grad = grad.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, len(weight)))  # (N, rows, C_out)
    grad_pixels = torch.empty_like(pixels)
    half, filters = x.element_size() < 4, weight.flatten(1)  # a matrix is transposed fast
    grad_filters = torch.empty_like(filters) if len(x) else torch.zeros_like(filters)
    for outputs, all_images in _parts(pixels, weight):
        # (C_in, kh * kw * c), which products of half precision read faster with rows in one piece
        matrix = (
            filters[outputs].T.reshape(x.shape[1], -1) if half else stack_taps(weight[outputs]).T
        )
        grad_matrix = None
        for images in all_images:
            rows = pixels[images].flatten(0, 1)
            products_grad = add_shifted(grad[images, :, outputs].flatten(0, 1), pattern, True)
            products_grad = products_grad.view(len(rows), -1)  # (n * HW, kh * kw * c)
            if needs_grad[0]:
                part = grad_pixels[images].flatten(0, 1)
                part.addmm_(products_grad, matrix.T, beta=min(outputs.start, 1))
            if needs_grad[1]:
                grad_matrix = accumulate_matmul(grad_matrix, rows.T, products_grad)
            del products_grad  # before the next ones are computed
        if grad_matrix is not None:
            grad_matrix = grad_matrix.to(weight.dtype)
            grad_filters[outputs] = grad_matrix.view(filters.shape[1], -1).T
        del matrix, grad_matrix
    grad_x = grad_pixels.mT.unflatten(2, x.shape[2:]).contiguous(memory_format=memory_format(x))
    grad_weight = grad_filters.view_as(weight).contiguous(memory_format=memory_format(weight))
    return [g for g, needed in zip((grad_x, grad_weight), needs_grad, strict=True) if needed]


def traceable(x: Tensor, weight: Tensor, rates: Sequence[int], concat: bool) -> Tensor:
    """The same, for exporters: no branch depends on H or W, but all products are held, padded."""
    products = F.conv2d(x, stack_taps(weight)[:, :, None, None])
    kernel = int(weight.shape[2]), int(weight.shape[3])  # torch.jit.trace has tensors here
    return traceable_sums(products, kernel, rates, concat)


def traceable_sums(
    products: Tensor, kernel: tuple[int, int], rates: Sequence[int], concat: bool
) -> Tensor:
    """Outputs of (N, kh * kw * C_out, H, W), the products of each tap for all outputs."""
    h, w = products.shape[2:]
    top, left = (max(rates) * (side // 2) for side in kernel)
    padded = F.pad(products, (left, left, top, top)).chunk(kernel[0] * kernel[1], dim=1)
    groups: dict[int, Tensor] = {}
    for tap, group, dy, dx, count in shifts(kernel, rates, concat):
        shifted = padded[tap][..., top + dy : top + dy + h, left + dx : left + dx + w]
        shifted = shifted if count == 1 else count * shifted
        groups[group] = groups[group] + shifted if group in groups else shifted
    return torch.cat([groups[i] for i in sorted(groups)], dim=1) if concat else groups[0]


def shifts(
    kernel: tuple[int, int], rates: Sequence[int], concat: bool
) -> list[tuple[int, int, int, int, int]]:
    """Every distinct term of the sums that make the outputs: tap, group, dy, dx, count.

    To output number ``group``, at every position p, add count * (product of tap at p + (dy, dx)).
    The group is 0 if the rates are added up, else the index of the rate. In the order of taps.
    """
    kh, kw = kernel
    counts = Counter(
        (y * kw + x, index if concat else 0, (y - kh // 2) * rate, (x - kw // 2) * rate)
        for y in range(kh)
        for x in range(kw)
        for index, rate in enumerate(rates)
    )
    return [(*where, count) for where, count in counts.items()]


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


def add_shifted(table: Tensor, pattern: ShiftPattern, transposed: bool = False) -> Tensor:
    """Outputs from products, by the sums of :func:`forward`, or transposed, for the gradients.

    Args:
        table: Products of n images, (n * H * W * kh * kw, C_out); transposed: gradients of outputs,
            (n * H * W, C_out), or (n * H * W * len(rates), C_out) for ``concat``.
        pattern: Its shape.
        transposed: Whether to go from outputs to products, whose shape the result then has.
    """
    rows, offsets = _bags(pattern, len(table), transposed)
    return F.embedding_bag(rows, table, offsets, mode='sum', include_last_offset=True)


# A training step uses one entry for each direction and number of images; images may differ in size.
# Those of one map of 513x513 at five rates take 104 MB, those of 33x33 take 0.4 MB.
@cached_tensors(max_bytes=2**27)
def _bags(pattern: ShiftPattern, length: int, transposed: bool) -> tuple[Tensor, Tensor]:
    """The rows of one table that each row of the other adds up, as ``F.embedding_bag`` takes them:
    the indices of all bags, one bag after another, and where each begins and the last ends.

    ``length`` is that of the table that is read, of outputs if ``transposed``, for all images.
    """
    (h, w), (kh, kw), rates, concat, device = pattern
    sign = -1 if transposed else 1
    # Axes: y, x, tap, rate.
    tap = torch.arange(kh * kw, device=device)[:, None]
    rate = torch.tensor(rates, device=device)
    y = torch.arange(h, device=device)[:, None, None, None] + sign * rate * (tap // kw - kh // 2)
    x = torch.arange(w, device=device)[:, None, None] + sign * rate * (tap % kw - kw // 2)
    inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
    pixel = y * w + x
    groups = len(rates) if concat else 1
    if transposed:
        bags, others = h * w * kh * kw, h * w * groups
        rows = pixel * groups + (torch.arange(groups, device=device) if concat else 0)
    else:
        bags, others = h * w * groups, h * w * kh * kw
        rows = pixel * kh * kw + tap
        if concat:
            rows, inside = rows.mT, inside.mT
    inside = inside.reshape(bags, -1)
    rows, sizes = rows.reshape(bags, -1)[inside], inside.sum(1)
    first = torch.arange(0, length, others, device=device)  # of each image
    ends = sizes.repeat(len(first)).cumsum(0)
    return (first[:, None] + rows).flatten().int(), F.pad(ends, (1, 0)).int()


def _parts(pixels: Tensor, weight: Tensor) -> list[tuple[slice, list[slice]]]:
    """Outputs whose products are held at once, and for each group of them the images."""
    (n, area, _), (c_out, c_in, kh, kw) = pixels.shape, weight.shape
    of_one_output = kh * kw * weight.element_size()
    most = max(1, MAX_BYTES // ((area + c_in) * of_one_output))
    size = -(-c_out // -(-c_out // most))  # of groups of about the same size
    size += -size % 16  # products and sums of whole vectors are faster
    together = max(1, MAX_BYTES // (area * of_one_output * min(size, c_out)))
    together = together if pixels.is_contiguous() else 1
    images = [slice(i, i + together) for i in range(0, n, together)]
    return [(slice(i, i + size), images) for i in range(0, c_out, size)]


def stack_taps(weight: Tensor) -> Tensor:
    """(C_out, C_in, kh, kw) -> (kh * kw * C_out, C_in)."""
    return weight.permute(2, 3, 0, 1).flatten(0, 2)


def pixel_rows(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H * W, C), a view where x is contiguous or channels_last."""
    return with_plain_layout(x).flatten(2).mT


def memory_format(x: Tensor) -> torch.memory_format:
    """channels_last or contiguous; the latter if x is both or neither."""
    channels_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if channels_last else torch.contiguous_format


def with_plain_layout(x: Tensor) -> Tensor:
    """x itself where it is contiguous or channels_last, else a contiguous copy."""
    return x.contiguous(memory_format=memory_format(x))


def empty_like_layout(x: Tensor, channels: int) -> Tensor:
    """Uninitialised (N, channels, H, W) in the dtype and memory format of x (N, C, H, W)."""
    shape = (x.shape[0], channels, *x.shape[2:])
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format(x))


def accumulate_matmul(total: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    """total + a @ b, in place where possible; half precision is summed in float32."""
    if total is None:
        return a @ b
    return total.float().add_(a @ b) if a.element_size() < 4 else total.addmm_(a, b)
