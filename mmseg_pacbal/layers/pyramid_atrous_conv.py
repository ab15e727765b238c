"""Pyramid Atrous Convolution as a module: the op, then norm and activation once."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ..ops import pyramid_atrous_conv2d
from ..ops.arguments import POSITIVE_INT, Accepted, check_arguments, reject_unknown_arguments
from ..ops.factorized import with_plain_layout
from ..ops.pyramid_atrous_conv import check_pyramid_args


def _layer(words: str) -> Accepted:
    words = f'None, a module, or what makes one{words}'
    return Accepted(words, lambda value: value is None or callable(value))  # modules are callable


ACCEPTED = dict(
    in_channels=POSITIVE_INT,
    out_channels=POSITIVE_INT,
    norm=_layer(' of a number of channels, such as nn.BatchNorm2d'),
    activation=_layer(', such as nn.ReLU'),
)


class PyramidAtrousConv(nn.Module):
    r"""Several atrous rates sharing one 3x3 filter (section 3.3, Fig. 6).

    .. math:: y = \phi(\mathrm{norm}(\sum_r \mathrm{conv2d}(x, w, dilation=r)))

    or, with ``merge='concat'`` (Table 2), the results concatenated and squeezed by a 1x1
    convolution to ``out_channels`` before norm and activation. There is a bias only where
    there is no norm.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        rates: Atrous rates, each 1 or more.
        merge: ``'sum'`` or ``'concat'``.
        norm: A module for C_out channels, or a function or class that makes one from C_out, such as
            ``nn.BatchNorm2d`` or ``lambda channels: nn.GroupNorm(8, channels)``; None for no norm.
        activation: A module, or a function or class that makes one, such as ``nn.ReLU``; None for
            no activation.
        backend: See :func:`mmseg_pacbal.ops.pyramid_atrous_conv2d`. It is not part of the
            state_dict: weights trained with one backend load with every other.

    Shape:
        (N, C_in, H, W) -> (N, C_out, H, W).

    Raises:
        ValueError: An argument is not accepted, or norm or activation makes no module.
        TypeError: An argument is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        rates: Sequence[int] = (1, 3, 5, 7, 9),
        *,
        merge: str = 'sum',
        norm: nn.Module | Callable[[int], nn.Module] | None = None,
        activation: nn.Module | Callable[[], nn.Module] | None = nn.ReLU,
        backend: str = 'auto',
        **unknown: NoReturn,
    ) -> None:
        super().__init__()
        reject_unknown_arguments(type(self), unknown)
        channels = dict(in_channels=in_channels, out_channels=out_channels)
        check_arguments(ACCEPTED, **channels, norm=norm, activation=activation)
        check_pyramid_args(rates, merge, backend)
        self.rates = tuple(map(int, rates))
        self.merge = merge
        self.backend = backend
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if norm is None else None
        self.squeeze = None
        if merge == 'concat':
            self.squeeze = nn.Conv2d(len(rates) * out_channels, out_channels, 1, bias=False)
        self.norm = _made('norm', norm, out_channels)
        self.activate = _made('activation', activation)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """He initialisation by fan-out, as mmcv's ConvModule does."""
        nn.init.kaiming_normal_(self.weight, mode='fan_out', nonlinearity='relu')
        if self.squeeze is not None:
            nn.init.kaiming_normal_(self.squeeze.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, x: Tensor) -> Tensor:
        x = pyramid_atrous_conv2d(
            x, self.weight, self.rates, merge=self.merge, backend=self.backend
        )
        if self.squeeze is not None:
            x = self.squeeze(x)
        if self.bias is not None:
            x = x + self.bias[:, None, None].to(x.dtype)  # as a convolution does under autocast
        if self.norm is not None:
            x = self.norm(x)
        return x if self.activate is None else self.activate(x)

    @torch.no_grad()
    def fuse_norm(self) -> None:
        """Fold a batch norm into filter and bias, for inference: everything before it is linear.

        mmcv's ``fuse_conv_bn`` does this for pairs of modules; here the filter is not a module.
        Other norms, those without statistics, and timm's, which end in an activation, stay.
        """
        norm = self.norm
        if not isinstance(norm, nn.modules.batchnorm._BatchNorm) or hasattr(norm, 'act'):
            return
        mean, var = norm.running_mean, norm.running_var
        if mean is None or var is None:
            return
        conv = self if self.squeeze is None else self.squeeze
        conv.weight, self.bias = fuse_conv_bn_weights(
            conv.weight, None, mean, var, norm.eps, norm.weight, norm.bias
        )
        self.norm = None

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # Older versions kept outputs innermost in memory; with `assign=True` this would come back.
        if isinstance(weight := state_dict.get(f'{prefix}weight'), Tensor):
            state_dict[f'{prefix}weight'] = with_plain_layout(weight)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        c_out, c_in, *_ = self.weight.shape
        return f'{c_in}, {c_out}, rates={self.rates}, merge={self.merge}, backend={self.backend}'


def _made(name: str, layer: Any, *args: int) -> nn.Module | None:
    """The layer itself, or what makes one called with ``args``."""
    if layer is None or isinstance(layer, nn.Module):
        return layer
    try:
        made = layer(*args)
        if isinstance(made, nn.Module):
            return made
        outcome = f'makes {made!r}'
    except TypeError as error:  # such as the function torch.relu, which wants a tensor
        outcome = f'raises TypeError: {error}'
    call = f'{layer!r} called with ({", ".join(map(str, args))})'
    raise ValueError(f'{name} must be {ACCEPTED[name].words}, but {call} {outcome}')
