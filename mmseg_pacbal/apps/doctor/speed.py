"""How fast the ops are, compared with what they replace; no speed makes a check fail."""

from collections.abc import Callable

import torch
from torch.utils.benchmark import Timer

from ...ops import boundary_weight_map, gpu_trials, pyramid_atrous_conv2d
from ...ops.factorized import outputs_innermost
from .examination import Check
from .ops import blocks, plain_weight_map

RATES = (1, 3, 5, 7, 9)


def time_pyramid(device: torch.device) -> str:
    """PAC of five rates against five convolutions, in the memory format where those are fastest."""
    channels, size = ((1024, 256), 33) if device.type == 'cuda' else ((512, 64), 33)
    x = torch.randn(2, channels[0], size, size, device=device)
    weight = torch.randn(channels[1], channels[0], 3, 3, device=device)
    layouts = {'contiguous': torch.contiguous_format}
    if device.type == 'cuda':
        layouts['channels_last'] = torch.channels_last
    benchmark, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    try:
        plain = {
            name: _milliseconds(
                _step(
                    x.contiguous(memory_format=f), weight.contiguous(memory_format=f), 'reference'
                )
            )
            for name, f in layouts.items()
        }
        ours = {
            name: _milliseconds(
                _step(x.contiguous(memory_format=f), outputs_innermost(weight), 'auto')
            )
            for name, f in layouts.items()
        }
    finally:
        torch.backends.cudnn.benchmark = benchmark
    best, own = min(plain.values()), min(ours.values())
    auto = backends_chosen(device)
    return (
        f'forward and backward, {channels[0]} to {channels[1]} channels at {size}x{size}, batch 2: '
        f'{own:.1f} ms against {best:.1f} ms of five convolutions, {best / own:.1f} times as fast'
        f'{f"; auto chose {auto}" if auto else ""}'
    )


def backends_chosen(device: torch.device) -> str:
    """What trials have found for ``backend='auto'`` on a device; none are made on a CPU."""
    choices = gpu_trials.choices.items()
    return ', '.join(sorted({name for key, name in choices if key[0] == device}))


def time_weight_map(device: torch.device) -> str:
    label = blocks((257, 257)).to(device)
    ours = _milliseconds(lambda: boundary_weight_map(label))
    plain = _milliseconds(lambda: plain_weight_map(label))
    return f'257x257, batch 2: {ours:.1f} ms against {plain:.1f} ms of the plain definition'


def _step(x: torch.Tensor, weight: torch.Tensor, backend: str) -> Callable[[], object]:
    x, weight = (t.detach().requires_grad_() for t in (x, weight))

    def step() -> object:
        out = pyramid_atrous_conv2d(x, weight, RATES, backend=backend)
        return torch.autograd.grad(out.sum(), (x, weight))

    return step


def _milliseconds(function: Callable[[], object]) -> float:
    """Median over half a second, after a warm-up."""
    threads = torch.get_num_threads()
    timer = Timer('function()', globals=dict(function=function), num_threads=threads)
    return 1000 * timer.blocked_autorange(min_run_time=0.5).median


_ADVICE = 'Only the timing failed; report it with the block below'
CHECKS = (
    Check('speed of PAC', time_pyramid, _ADVICE),
    Check('speed of the weight map', time_weight_map, _ADVICE),
)
