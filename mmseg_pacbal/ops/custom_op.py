"""Forward and backward of a fast form as torch custom ops, joined by autograd."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .tap_products import empty_maps, stack_taps, unstack_taps, with_plain_layout

_FORWARD = '(Tensor x, Tensor weight, int[] rates, bool concat) -> Tensor'
_BACKWARD = (
    '(Tensor x, Tensor weight, Tensor grad, int[] rates, bool concat, bool[] needs_grad)'
    ' -> Tensor[]'
)
_OPS: dict[str, tuple[Callable, Callable]] = {}


def register(name: str, forward: Callable, backward: Callable) -> None:
    """Make a fast form known to :func:`apply`.

    Each function becomes an operator that torch.compile and torch.export do not look into:
    both would otherwise unroll its loops, and fix the image size where these depend on it.

    Args:
        name: Of the backend.
        forward: x, weight, rates, concat -> output, see ``shifted_products.forward``.
        backward: x, weight, gradient of the output, rates, concat, whether x and weight need
            a gradient -> list of those that do, see ``shifted_products.backward``.
    """
    _OPS[name] = (
        _opaque(f'{name}_forward', _FORWARD, forward, _fake_forward),
        _opaque(f'{name}_backward', _BACKWARD, backward, _fake_backward),
    )


def apply(name: str, x: Tensor, weight: Tensor, rates: Sequence[int], concat: bool) -> Tensor:
    """Run a registered form; its gradient, which keeps x and weight only, can be taken once."""
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _Differentiable.apply(name, x, weight, rates, concat)
    return _OPS[name][0](x, weight, rates, concat)


class _Differentiable(torch.autograd.Function):
    @staticmethod
    def forward(ctx, name: str, x: Tensor, weight: Tensor, rates: Sequence[int], concat: bool):
        ctx.save_for_backward(x, weight)
        ctx.form = (name, rates, concat)
        return _OPS[name][0](x, weight, rates, concat)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        x, weight = ctx.saved_tensors
        name, rates, concat = ctx.form
        needs_grad = ctx.needs_input_grad[1:3]
        # The precision is that of the forward pass, whatever surrounds the backward pass.
        with torch.autocast(x.device.type, enabled=False):
            grads = _OPS[name][1](x, weight, grad, rates, concat, needs_grad)
        grad_x = grads[0] if needs_grad[0] else None
        grad_weight = grads[-1] if needs_grad[1] else None
        return None, grad_x, grad_weight, None, None


def _opaque(name: str, schema: str, function: Callable, fake: Callable) -> Callable:
    if not hasattr(torch.library, 'custom_op'):  # torch < 2.4
        return function
    op = torch.library.custom_op(f'mmseg_pacbal::{name}', function, mutates_args=(), schema=schema)
    op.register_fake(fake)
    return op


def _fake_forward(x: Tensor, weight: Tensor, rates: Sequence[int], concat: bool) -> Tensor:
    return empty_maps(x, (len(rates) if concat else 1) * weight.shape[0], x.dtype)


def _fake_backward(
    x: Tensor,
    weight: Tensor,
    grad: Tensor,
    rates: Sequence[int],
    concat: bool,
    needs_grad: Sequence[bool],
) -> list[Tensor]:
    fakes = (
        torch.empty_like(with_plain_layout(x)),
        unstack_taps(torch.empty_like(stack_taps(weight).contiguous()), weight),
    )
    return [fake for fake, needed in zip(fakes, needs_grad, strict=True) if needed]
