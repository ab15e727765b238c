"""One filter at many atrous rates: the sum of convolutions, exact, at the price of one."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .shifted_products import shifted_products

MERGES = ('sum', 'concat')


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
            PyTorch, any device) or ``'auto'``. All agree to rounding.

    Returns:
        (N, C_out, H, W), or (N, len(rates) * C_out, H, W) for ``merge='concat'``.

    Raises:
        ValueError: A shape, rate, merge or backend is not one of those above.
        TypeError: x and weight differ in dtype outside autocast.
    """
    check_pyramid_args(rates, merge, backend)
    _check_shapes(x, weight)
    x, weight = _autocast(x, weight)
    if x.dtype != weight.dtype:
        raise TypeError(f'x and weight must share a dtype, but got {x.dtype} and {weight.dtype}')
    if backend == 'auto':
        backend = 'reference' if len(rates) == 1 else 'factorized'
    return _BACKENDS[backend](x, weight, tuple(rates), merge)


def available_backends() -> tuple[str, ...]:
    """Names that ``backend`` accepts on this machine."""
    return ('auto', *_BACKENDS)


def check_pyramid_args(rates: Sequence[int], merge: str, backend: str) -> None:
    """Raise ValueError unless rates, merge and backend are accepted."""
    whole = all(isinstance(rate, int) and not isinstance(rate, bool) for rate in rates)
    if len(rates) == 0 or not whole or min(rates) < 1:
        raise ValueError(f'rates must be one or more integers, each 1 or more, but got {rates!r}')
    if merge not in MERGES:
        raise ValueError(f'merge must be one of {MERGES}, but got {merge!r}')
    if backend not in available_backends():
        raise ValueError(
            f'backend {backend!r} cannot run here; available are {available_backends()}'
        )


def _check_shapes(x: Tensor, weight: Tensor) -> None:
    if x.dim() != 4 or not x.is_floating_point():
        raise ValueError(f'x must be floating, (N, C_in, H, W), but got {x.dtype} {tuple(x.shape)}')
    if weight.dim() != 4 or weight.shape[2] % 2 == 0 or weight.shape[3] % 2 == 0:
        raise ValueError(
            f'weight must be (C_out, C_in, kh, kw), kh and kw odd, but got {tuple(weight.shape)}'
        )
    if x.shape[1] != weight.shape[1]:
        raise ValueError(
            f'x has {x.shape[1]} channels, but weight takes {weight.shape[1]}; they must agree'
        )


def _autocast(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Under autocast, the dtype in which conv2d would compute."""
    if x.device.type == 'cuda':
        enabled, dtype = torch.is_autocast_enabled(), torch.get_autocast_gpu_dtype()
    elif x.device.type == 'cpu':
        enabled, dtype = torch.is_autocast_cpu_enabled(), torch.get_autocast_cpu_dtype()
    else:
        enabled, dtype = False, x.dtype
    return (x.to(dtype), weight.to(dtype)) if enabled else (x, weight)


def _reference(x: Tensor, weight: Tensor, rates: tuple[int, ...], merge: str) -> Tensor:
    half_h, half_w = weight.shape[2] // 2, weight.shape[3] // 2
    outputs = [F.conv2d(x, weight, padding=(r * half_h, r * half_w), dilation=r) for r in rates]
    return sum(outputs) if merge == 'sum' else torch.cat(outputs, dim=1)


def _factorized(x: Tensor, weight: Tensor, rates: tuple[int, ...], merge: str) -> Tensor:
    groups = (rates,) if merge == 'sum' else tuple((rate,) for rate in rates)
    return shifted_products(x, weight, groups)


_BACKENDS = {'reference': _reference, 'factorized': _factorized}
