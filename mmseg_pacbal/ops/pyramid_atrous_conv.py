"""One filter at many atrous rates: the exact sum of the convolutions, at the cost of one."""

import importlib
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.torch_version import TorchVersion

from . import factorized
from .arguments import POSITIVE_INT, Accepted, check_arguments, check_tensor, one_of
from .factorized import empty_like_layout, memory_format

VARIABLE = 'MMSEG_PACBAL_BACKEND'  # of the environment: what 'auto' stands for
ACCEPTED = dict(
    rates=Accepted(
        'one or more integers, each 1 or more',
        lambda rates: (
            isinstance(rates, Sequence) and len(rates) > 0 and all(map(POSITIVE_INT.test, rates))
        ),
    ),
    merge=one_of('sum', 'concat'),
)
OLDEST_TRITON = '3.4'
# Triton's interpreter runs the kernels on CPU, for tests. Triton reads this on import, too.
INTERPRETED = os.environ.get('TRITON_INTERPRET') == '1'
Function = TypeVar('Function', bound=Callable)


def constant_when_traced(function: Function) -> Function:
    """Have ``torch.compile`` call a function while it traces, and keep the result.

    The same as ``torch.compiler.assume_constant_result`` (torch 2.4 to 2.14), which imports the
    whole compiler only to set this attribute: a second for everyone who never compiles.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def pyramid_atrous_conv2d(
    x: Tensor,
    weight: Tensor,
    rates: Sequence[int],
    *,
    merge: str = 'sum',
    backend: str = 'auto',
) -> Tensor:
    r"""Convolve with one filter at several atrous rates and merge the results (Fig. 6).

    .. math:: y = \sum_{r \in rates} \mathrm{conv2d}(x, w, dilation=r), \quad
        \text{stride 1, zero padding that keeps the size}

    Args:
        x: Features, (N, C_in, H, W), any floating dtype, contiguous, channels_last or neither.
        weight: The filter shared by all rates, (C_out, C_in, kh, kw), kh and kw odd.
        rates: Atrous rates, at least one, each 1 or more; they may exceed the image.
        merge: ``'sum'`` adds the results, ``'concat'`` stacks them along channels.
        backend: ``'reference'`` (one ``conv2d`` for each rate), ``'factorized'`` (plain
            PyTorch, any device), ``'triton'`` (CUDA) or ``'auto'``, which is what the environment
            variable ``MMSEG_PACBAL_BACKEND`` names, if it is set; otherwise one of the first two
            by a measured rule on a CPU (:func:`.factorized.choose_by_rule`), and the fastest in a
            trial elsewhere (:mod:`.gpu_trials`). All agree up to rounding, that of matrix products
            if ``torch.set_float32_matmul_precision`` lowers it.

    Returns:
        (N, C_out, H, W), or (N, len(rates) * C_out, H, W) for ``merge='concat'``. Its gradient can
        be taken once.

    Raises:
        ValueError: A shape, rate, merge or backend is not one of those above.
        TypeError: x or weight is not a tensor, or they differ in dtype outside autocast.
    """
    check_tensor('x', x)
    check_tensor('weight', weight)
    check_pyramid_args(rates, merge, backend, x.device.type)
    _check_shapes(x, weight)
    x, weight = _autocast(x), _autocast(weight)
    if x.dtype != weight.dtype:
        raise TypeError(f'x and weight must share a dtype, but got {x.dtype} and {weight.dtype}')
    rates, concat = tuple(map(int, rates)), merge == 'concat'
    if backend == 'auto':
        backend = _backend_of_environment(x.device.type)
    if backend == 'auto' and (x.device.type == 'cpu' or _is_exporting()):
        backend = factorized.choose_by_rule(x.shape[1], rates)
    if backend == 'reference':
        return convolutions(x, weight, rates, concat)
    if _is_exporting():  # as operators that every runtime has
        return factorized.traceable(x, weight, rates, concat)
    training = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return _pyramid(x, weight, rates, concat, backend, training)


def convolutions(x: Tensor, weight: Tensor, rates: Sequence[int], concat: bool) -> Tensor:
    """The definition: one convolution for each rate, then their sum."""
    outputs = [
        F.conv2d(x, weight, padding=padding, dilation=rate)
        for rate, padding in zip(rates, paddings(weight, rates), strict=True)
    ]
    return torch.cat(outputs, dim=1) if concat else sum(outputs[1:], outputs[0])


def paddings(weight: Tensor, rates: Sequence[int]) -> list[tuple[int, int]]:
    """Padding that keeps the size, for each rate."""
    return [(r * (weight.shape[2] // 2), r * (weight.shape[3] // 2)) for r in rates]


@constant_when_traced  # torch.compile cannot trace an import
def available_backends(device: str = 'cpu') -> tuple[str, ...]:
    """Names that ``backend`` accepts for tensors on a type of device, such as ``'cuda'``."""
    names = ('auto', 'reference', 'factorized')
    return (*names, 'triton') if (device == 'cuda' or INTERPRETED) and _has_triton() else names


@cache
def _has_triton() -> bool:
    """Whether there is a Triton that compiles the kernel: before 3.4 (torch 2.8) it cannot."""
    try:
        return TorchVersion(importlib.import_module('triton').__version__) >= OLDEST_TRITON
    except (ImportError, OSError, AttributeError):  # none, a broken one, or a folder of that name
        return False


def check_pyramid_args(
    rates: Sequence[int], merge: str, backend: str, device: str | None = None
) -> None:
    """Raise ValueError unless :func:`pyramid_atrous_conv2d` accepts these arguments.

    ``device`` is the type of the one that it will run on; None stands for any of this machine.
    """
    check_arguments(ACCEPTED, rates=rates, merge=merge)
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    if backend not in (available := available_backends(device)):
        raise ValueError(
            f'backend {backend!r} cannot run here, on {device}; available are {available}'
        )


@constant_when_traced  # torch 2.4 cannot trace the reading of a variable
def _backend_of_environment(device: str) -> str:
    name = os.environ.get(VARIABLE, 'auto')
    available = available_backends(device)
    if name not in available:
        raise ValueError(
            f'the environment variable {VARIABLE} is {name!r}, but on {device} the backends are '
            f'{available}; set it to one of them or unset it'
        )
    return name


def _check_shapes(x: Tensor, weight: Tensor) -> None:
    if x.dim() != 4 or 0 in x.shape[1:] or not x.is_floating_point():
        raise ValueError(
            'x must be floating, (N, C_in, H, W), where N alone may be 0, but got '
            f'{x.dtype} {tuple(x.shape)}'
        )
    if weight.dim() != 4 or weight.shape[2] % 2 == 0 or weight.shape[3] % 2 == 0:
        raise ValueError(
            f'weight must be (C_out, C_in, kh, kw), kh and kw odd, but got {tuple(weight.shape)}'
        )
    if x.shape[1] != weight.shape[1]:
        raise ValueError(
            f'x has {x.shape[1]} channels, but weight takes {weight.shape[1]}; they must agree'
        )


def _autocast(tensor: Tensor) -> Tensor:
    """Under autocast, in the dtype in which conv2d would compute."""
    device = tensor.device.type
    if device != 'meta' and torch.is_autocast_enabled(device):  # meta has no autocast
        # Autocast's own rules, read off a product of nothing.
        return tensor.to((tensor.new_empty(1, 0) @ tensor.new_empty(0, 1)).dtype)
    return tensor


@constant_when_traced  # torch.compile takes it for True before torch 2.13
def _is_exporting() -> bool:
    if torch.onnx.is_in_onnx_export() or torch.jit.is_tracing():
        return True
    return getattr(torch.compiler, 'is_exporting', bool)()  # torch >= 2.7


def _form(x: Tensor, weight: Tensor, rates: Any, concat: bool, name: str, training: bool) -> Any:
    """What has the functions ``forward`` and ``backward`` of a backend."""
    if name == 'factorized':
        return factorized
    trials = importlib.import_module('.gpu_trials', __package__)
    forms = trials.available_forms(x.device.type)
    if name == 'auto':
        name = trials.choose(forms, trials.Problem(x, weight, rates, concat, training))
    return forms[name]


# Forward and backward are operators, so that torch.compile does not look inside: it would unroll
# the loops and fix the image size, and a trial needs real tensors. Torch keeps compiled graphs on
# disk by the names of operators: when layouts change, so do the names, or an old graph is found.


@torch.library.custom_op(
    'mmseg_pacbal::atrous_pyramid',
    mutates_args=(),
    schema='(Tensor x, Tensor weight, int[] rates, bool concat, str backend, bool training)'
    ' -> Tensor',
)
def _pyramid(x, weight, rates, concat, backend, training):
    with torch.autocast(x.device.type, enabled=False):
        form = _form(x, weight, rates, concat, backend, training)
        return form.forward(x, weight, rates, concat)


@torch.library.custom_op(
    'mmseg_pacbal::atrous_pyramid_backward',
    mutates_args=(),
    schema='(Tensor x, Tensor weight, Tensor grad, int[] rates, bool concat, str backend,'
    ' bool[] needs_grad) -> Tensor[]',
)
def _pyramid_backward(x, weight, grad, rates, concat, backend, needs_grad):
    # The precision is that of the forward pass, whatever surrounds the backward pass.
    with torch.autocast(x.device.type, enabled=False):
        form = _form(x, weight, rates, concat, backend, True)
        return form.backward(x, weight, grad, rates, concat, needs_grad)


@_pyramid.register_fake
def _(x, weight, rates, concat, backend, training):
    return empty_like_layout(x, (len(rates) if concat else 1) * weight.shape[0])


@_pyramid_backward.register_fake
def _(x, weight, grad, rates, concat, backend, needs_grad):
    fakes = [torch.empty_like(t, memory_format=memory_format(t)) for t in (x, weight)]
    return [fake for fake, needed in zip(fakes, needs_grad, strict=True) if needed]


def _setup_context(ctx, inputs, output):
    x, weight, *ctx.options, _ = inputs  # rates, concat, backend
    ctx.save_for_backward(x, weight)


def _differentiate(ctx, grad):
    needs_grad = ctx.needs_input_grad[:2]
    grads = iter(_pyramid_backward(*ctx.saved_tensors, grad, *ctx.options, needs_grad))
    return *(next(grads) if needed else None for needed in needs_grad), None, None, None, None


_pyramid.register_autograd(_differentiate, setup_context=_setup_context)


def _refuse(ctx, *grads):
    raise RuntimeError(
        'the gradient of pyramid_atrous_conv2d can be taken once (once_differentiable); for second '
        "derivatives give backend='reference'"
    )


_pyramid_backward.register_autograd(_refuse)
