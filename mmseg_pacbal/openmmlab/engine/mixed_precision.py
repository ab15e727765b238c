"""Mixed precision on GPUs and on CPUs."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS
from torch import nn

from ...configs import say, set_values


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """mmengine's OptimWrapper under ``torch.autocast`` to bfloat16, on any device.

    There is no gradient scaler: bfloat16 has the exponent range of float32, so small gradients do
    not become 0. Weights, gradients and the optimizer's state stay in float32. mmengine's own
    ``AmpOptimWrapper`` does not run on a CPU.

    Args:
        dtype: ``'bfloat16'``.
        **kwargs: As in OptimWrapper.

    Raises:
        ValueError: Another dtype.
    """

    def __init__(self, dtype: str | torch.dtype = 'bfloat16', **kwargs: object) -> None:
        _check_dtype(dtype)
        super().__init__(**kwargs)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield


def use_amp_in_training(cfg: Config, device: str | None = None) -> None:
    """Name the optimizer wrapper for a device: float16 with a scaler on a GPU, bfloat16 on a CPU.

    The config is changed in place; every change is printed. With ``optim_wrapper.dtype='bfloat16'``
    a GPU computes in bfloat16, too. ``device`` None is the one on which mmengine trains here.
    """
    place = [('optim_wrapper', cfg.optim_wrapper)]
    if (device or get_device()) == 'cpu':
        _check_dtype(cfg.optim_wrapper.get('dtype', 'bfloat16'))
        set_values(place, 'type', 'BFloat16OptimWrapper')
        if cfg.optim_wrapper.pop('loss_scale', None) is not None:
            say('config: optim_wrapper.loss_scale is removed, since bfloat16 needs no scaler')
    else:
        set_values(place, 'type', 'AmpOptimWrapper')
        if 'loss_scale' not in cfg.optim_wrapper:
            set_values(place, 'loss_scale', 'dynamic')


def use_amp_in_testing(cfg: Config, device: str | None = None) -> None:
    """Test under autocast, by the option ``fp16`` of mmengine's loop; on a CPU it means bfloat16.

    Args:
        cfg: Changed in place; every change is printed.
        device: Unused: the loop takes the dtype of the device on which it tests.
    """
    set_values([('test_cfg', cfg.test_cfg)], 'fp16', True)


def inference_autocast(model: nn.Module) -> torch.autocast:
    """Autocast for a model on its device: to bfloat16 on a CPU, else to float16."""
    device = next(model.parameters()).device.type
    return torch.autocast(device, torch.bfloat16 if device == 'cpu' else torch.float16)


def _check_dtype(dtype: str | torch.dtype) -> None:
    if dtype not in ('bfloat16', torch.bfloat16):
        raise ValueError(
            f'optim_wrapper.dtype is {str(dtype).removeprefix("torch.")!r}, but mixed precision '
            "without a gradient scaler, as on a CPU, supports 'bfloat16' only; set "
            'optim_wrapper.dtype=bfloat16, or train in float16 on a GPU'
        )
