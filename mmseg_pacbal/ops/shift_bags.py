"""Shifted sums as embedding bags: which rows of a table are added for each row of the result.

The products of a filter are a table with a row of C_out values for every pixel and tap; outputs
and their gradients are one with a row for every pixel, or every pixel and rate where the rates
are kept apart. Sums of shifted maps then add whole rows, the same ones for all channels. That is
an embedding bag, for which torch has fast kernels that write every row of the result once and
sum half precision in float32.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Pyramid(NamedTuple):
    """What the shifts of a pyramid depend on."""

    size: tuple[int, int]  # height and width of the image
    kernel: tuple[int, int]
    rates: tuple[int, ...]
    concat: bool  # whether each rate has an output of its own
    device: torch.device


def sum_products(products: Tensor, pyramid: Pyramid, taps: range) -> Tensor:
    r"""Outputs from the products of some taps.

    .. math:: y(p, r) = \sum_k W_k x(p + r \, o_k), \quad o_k = \text{offset of tap } k

    summed over the rates as well unless ``concat``.

    Args:
        products: (H * W * len(taps), C_out).
        pyramid: Its shape.
        taps: Positions in the kernel, row by row.

    Returns:
        (H * W, C_out), or (H * W * len(rates), C_out) for ``concat``.
    """
    return _sum_rows(products, _bags(pyramid, taps, transposed=False))


def sum_gradients(grads: Tensor, pyramid: Pyramid, taps: range) -> Tensor:
    """Gradients of products from gradients of outputs: the transpose of :func:`sum_products`."""
    return _sum_rows(grads, _bags(pyramid, taps, transposed=True))


def _sum_rows(table: Tensor, bags: tuple[Tensor, Tensor]) -> Tensor:
    rows, offsets = bags
    return F.embedding_bag(rows, table, offsets, mode='sum', include_last_offset=True)


# A step looks up one entry for each direction and group of taps; images may differ in size.
@lru_cache(maxsize=32)
def _bags(pyramid: Pyramid, taps: range, transposed: bool) -> tuple[Tensor, Tensor]:
    """Rows of the one table, in the order of the other's, and where each row's share begins."""
    (h, w), (kh, kw), rates, concat, device = pyramid
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
