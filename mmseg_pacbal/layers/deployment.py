"""Pyramid Atrous Convolution as plain modules, in the form that is faster where it will run."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.arguments import check_arguments, one_of
from ..ops.factorized import choose_by_rule, stack_taps, traceable_sums
from ..ops.pyramid_atrous_conv import convolutions
from .pyramid_atrous_conv import PyramidAtrousConv

# Multiplications saved for a pixel, tap and output, from which on the factorized form is faster,
# in float32: python -m benchmarks.export_runtimes (docs/deploy.md). The first is the default.
MIN_SAVED = dict(onnxruntime=1024, openvino=512, litert=512, ncnn=256, executorch=1024)
ACCEPTED = dict(runtime=one_of(*MIN_SAVED))


def prepare_export(model: nn.Module, runtime: str = 'onnxruntime', int8: bool = False) -> nn.Module:
    """Replace every :class:`PyramidAtrousConv` by plain modules that compute the same.

    They are for inference, in evaluation mode: batch norms are folded, and the rearranged filter
    is a parameter, so that no graph computes it. The form is the factorized one, a 1x1 convolution
    and shifted sums, or one convolution for each rate, whichever was measured to be faster
    (:func:`.ops.factorized.choose_by_rule` with ``MIN_SAVED`` of the runtime).

    Args:
        model: A model, changed in place, or a layer.
        runtime: Where the export will run: ``'onnxruntime'``, ``'openvino'``, ``'litert'``,
            ``'ncnn'`` or ``'executorch'``.
        int8: Whether it will be quantised: convolutions then lose half as much (docs/deploy.md).

    Returns:
        The model, or what replaces the layer.

    Raises:
        ValueError: The runtime is not one of those above.
    """
    check_arguments(ACCEPTED, runtime=runtime)
    if isinstance(model, PyramidAtrousConv):
        return _plain(model, runtime, int8)
    for name, child in model.named_children():
        setattr(model, name, prepare_export(child, runtime, int8))
    return model


class FactorizedConvs(nn.Module):
    """One filter (C_out, C_in, kh, kw) at several rates, in the factorized form."""

    def __init__(self, weight: Tensor, rates: tuple[int, ...], concat: bool) -> None:
        super().__init__()
        _, _, kh, kw = weight.shape
        self.kernel, self.rates, self.concat = (kh, kw), rates, concat
        self.weight = nn.Parameter(stack_taps(weight)[:, :, None, None].clone(), False)

    def forward(self, x: Tensor) -> Tensor:
        return traceable_sums(F.conv2d(x, self.weight), self.kernel, self.rates, self.concat)


class RateConvs(nn.Module):
    """The same as one convolution for each rate."""

    def __init__(self, weight: Tensor, rates: tuple[int, ...], concat: bool) -> None:
        super().__init__()
        self.weight, self.rates, self.concat = nn.Parameter(weight.clone(), False), rates, concat

    def forward(self, x: Tensor) -> Tensor:
        return convolutions(x, self.weight, self.rates, self.concat)


class Bias(nn.Module):
    """One number for each channel, added."""

    def __init__(self, bias: Tensor) -> None:
        super().__init__()
        self.bias = nn.Parameter(bias[:, None, None].clone(), False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


@torch.no_grad()
def _plain(layer: PyramidAtrousConv, runtime: str, int8: bool) -> nn.Sequential:
    layer.fuse_norm()
    form = layer.backend
    if form == 'auto':
        least = float('inf') if int8 else MIN_SAVED[runtime]
        form = choose_by_rule(layer.weight.shape[1], layer.rates, least)
    make = RateConvs if form == 'reference' else FactorizedConvs
    # By name: pnnx writes Python, in which a module's number is no name.
    parts = dict(
        pyramid=make(layer.weight.detach(), layer.rates, layer.merge == 'concat'),
        squeeze=layer.squeeze,
        bias=None if layer.bias is None else Bias(layer.bias.detach()),
        norm=layer.norm,
        activate=layer.activate,
    )
    return nn.Sequential(OrderedDict((n, part) for n, part in parts.items() if part is not None))
