"""What torch's ``FlopCounterMode`` counts for PAC, which it sees as one operator."""

import math
from collections.abc import Sequence

import torch
from torch.utils.flop_counter import register_flop_formula

from . import pyramid_atrous_conv  # noqa: F401 (defines the operators)


def pyramid_products(x_shape: Sequence[int], weight_shape: Sequence[int]) -> int:
    """Multiply-adds of the products that all rates share; their sums are not counted.

    x (N, C_in, H, W), weight (C_out, C_in, kh, kw): N H W C_out C_in kh kw.
    """
    n, _, h, w = x_shape
    return n * h * w * math.prod(weight_shape)


# torch counts an addition of its own for every product.


@register_flop_formula(torch.ops.mmseg_pacbal.atrous_pyramid)
def _forward_flops(x_shape, weight_shape, *args, out_shape=None, **kwargs) -> int:
    return 2 * pyramid_products(x_shape, weight_shape)


@register_flop_formula(torch.ops.mmseg_pacbal.atrous_pyramid_backward)
def _backward_flops(x_shape, weight_shape, *args, out_shape=None, **kwargs) -> int:
    """Each gradient that is asked for takes as many as the forward pass."""
    *_, needs_grad = args
    return 2 * pyramid_products(x_shape, weight_shape) * sum(needs_grad)
