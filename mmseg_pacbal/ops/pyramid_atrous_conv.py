"""One filter at many atrous rates: the sum of convolutions, exact, at the price of one."""

import importlib.util
import os
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from . import custom_op, shifted_products
from .arguments import POSITIVE_INT, Accepted, check_arguments, check_tensor, one_of

MERGES = ('sum', 'concat')
MIN_SAVED = 128  # multiplications for a pixel, tap and output, from which on the fast form pays
ACCEPTED = dict(
    rates=Accepted(
        'one or more integers, each 1 or more',
        lambda rates: (
            isinstance(rates, Sequence) and len(rates) > 0 and all(map(POSITIVE_INT.test, rates))
        ),
    ),
    merge=one_of(*MERGES),
)


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
            PyTorch, any device), ``'triton'`` (CUDA) or ``'auto'``. All agree to rounding.

    Returns:
        (N, C_out, H, W), or (N, len(rates) * C_out, H, W) for ``merge='concat'``.

    Raises:
        ValueError: A shape, rate, merge or backend is not one of those above.
        TypeError: x or weight is no tensor, or they differ in dtype outside autocast.
    """
    check_tensor('x', x)
    check_tensor('weight', weight)
    check_pyramid_args(rates, merge, backend, x.device.type)
    _check_shapes(x, weight)
    x, weight = _autocast(x), _autocast(weight)
    if x.dtype != weight.dtype:
        raise TypeError(f'x and weight must share a dtype, but got {x.dtype} and {weight.dtype}')
    rates = tuple(map(int, rates))
    if backend == 'auto':
        backend = choose_backend(x.device.type, x.shape[1], rates)
    if backend == 'reference':
        return _reference(x, weight, rates, merge)
    if _is_exporting():  # to operators that every runtime knows
        return shifted_products.traceable(x, weight, rates, merge == 'concat')
    if backend == 'triton':
        from . import triton  # noqa: F401 (registers itself; imports Triton)
    return custom_op.apply(backend, x, weight, rates, merge == 'concat')


def available_backends(device: str = 'cpu') -> tuple[str, ...]:
    """Names that ``backend`` accepts for tensors on a type of device, such as ``'cuda'``."""
    names = ('auto', 'reference', 'factorized')
    if importlib.util.find_spec('triton') is None:
        return names
    # Triton's interpreter runs the kernels on CPU, for tests.
    interpreted = os.environ.get('TRITON_INTERPRET') == '1'
    return (*names, 'triton') if device == 'cuda' or interpreted else names


def check_pyramid_args(
    rates: Sequence[int], merge: str, backend: str, device: str | None = None
) -> None:
    """Raise ValueError unless rates, merge and backend are accepted.

    Args:
        rates: See :func:`pyramid_atrous_conv2d`.
        merge: See :func:`pyramid_atrous_conv2d`.
        backend: See :func:`pyramid_atrous_conv2d`.
        device: Type of the device it is to run on, None for any device of this machine.
    """
    check_arguments(ACCEPTED, rates=rates, merge=merge)
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    available = available_backends(device)
    if backend not in available:
        raise ValueError(
            f'backend {backend!r} cannot run here, on {device}; available are {available}'
        )


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
    if torch.is_autocast_enabled() or torch.is_autocast_cpu_enabled():
        # Autocast's own rules, read off a product of nothing.
        return tensor.to((tensor.new_empty(1, 0) @ tensor.new_empty(0, 1)).dtype)
    return tensor


def _is_exporting() -> bool:
    if torch.onnx.is_in_onnx_export():
        return True
    return getattr(torch.compiler, 'is_exporting', bool)()  # torch >= 2.7


def _reference(x: Tensor, weight: Tensor, rates: tuple[int, ...], merge: str) -> Tensor:
    half_h, half_w = weight.shape[2] // 2, weight.shape[3] // 2
    outputs = [F.conv2d(x, weight, padding=(r * half_h, r * half_w), dilation=r) for r in rates]
    return sum(outputs[1:], outputs[0]) if merge == 'sum' else torch.cat(outputs, dim=1)


def choose_backend(device: str, channels: int, rates: Sequence[int]) -> str:
    """What ``'auto'`` stands for.

    For every pixel, tap and output the fast form saves C_in * (rates - 1) multiplications and pays
    one addition for each rate, which the convolution does for nothing. From which saving on it is
    faster was measured on CPU (``python -m benchmarks.pyramid_atrous_conv --grid``), in inference
    and in training, float32 and bfloat16. On CUDA nothing was measured.

    Args:
        device: Type of the device.
        channels: C_in.
        rates: Atrous rates.
    """
    if channels * (len(rates) - 1) < MIN_SAVED:
        return 'reference'
    return 'triton' if device == 'cuda' and 'triton' in available_backends(device) else 'factorized'


custom_op.register('factorized', shifted_products.forward, shifted_products.backward)
