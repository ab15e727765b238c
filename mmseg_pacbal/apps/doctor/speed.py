"""How fast the ops are, compared with what they replace; no speed makes a check fail."""

from collections.abc import Callable

import torch
from torch.utils.benchmark import Timer

from ...ops import boundary_weight_map, gpu_trials, pyramid_atrous_conv2d
from ...ops.factorized import outputs_innermost
from ...ops.reference import boundary_weight_map_reference
from .examination import Check
from .ops import blocks

RATES = (1, 3, 5, 7, 9)


def time_pyramid(device: torch.device) -> str:
    """PAC of five rates against five convolutions, in the memory format where those are fastest."""
    c_in, c_out = (1024, 256) if device.type == 'cuda' else (512, 64)
    x = torch.randn(2, c_in, 33, 33, device=device)
    weight = torch.randn(c_out, c_in, 3, 3, device=device)
    formats = [torch.contiguous_format]
    if device.type == 'cuda':
        formats.append(torch.channels_last)
    benchmark, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    try:
        plain = min(
            _step(x.contiguous(memory_format=f), weight.contiguous(memory_format=f), 'reference')
            for f in formats
        )
        own = outputs_innermost(weight)
        ours = min(_step(x.contiguous(memory_format=f), own, 'auto') for f in formats)
    finally:
        torch.backends.cudnn.benchmark = benchmark
    auto = backends_chosen(device)
    return (
        f'forward and backward, {c_in} to {c_out} channels at 33x33, batch 2: {ours:.1f} ms against'
        f' {plain:.1f} ms of five convolutions, {plain / ours:.1f} times as fast'
        f'{f"; auto chose {auto}" if auto else ""}'
    )


def backends_chosen(device: torch.device) -> str:
    """What trials have found for ``backend='auto'`` on a device; none are made on a CPU."""
    choices = gpu_trials.choices.items()
    return ', '.join(sorted({name for key, name in choices if key[0] == device}))


def time_weight_map(device: torch.device) -> str:
    label = blocks((257, 257)).to(device)
    ours = _milliseconds(lambda: boundary_weight_map(label))
    plain = _milliseconds(lambda: boundary_weight_map_reference(label))
    return f'257x257, batch 2: {ours:.1f} ms against {plain:.1f} ms of the plain definition'


def _step(x: torch.Tensor, weight: torch.Tensor, backend: str) -> float:
    """Milliseconds of forward and backward."""
    x, weight = (t.detach().requires_grad_() for t in (x, weight))

    def step() -> None:
        out = pyramid_atrous_conv2d(x, weight, RATES, backend=backend)
        torch.autograd.grad(out.sum(), (x, weight))

    return _milliseconds(step)


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
