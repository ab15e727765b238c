"""What ``backend='auto'`` chooses on a GPU: the fastest form in a trial on the user's own device.

No rule for GPUs has been measured, so every form is timed, as ``torch.backends.cudnn.benchmark``
does for the algorithms of one convolution. A trial computes numbers of its own, of the shape, dtype
and memory format that is asked for, and compares every form with the convolutions.
"""

import importlib
import logging
import statistics
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

from . import factorized
from .pyramid_atrous_conv import available_backends, convolutions, paddings

MAX_TRIALS = 64  # in a process: with images of random sizes the trials would not end
MAX_IMAGES = 2  # in a trial: every form processes images one by one or in parts
REPEATS = 3

logger = logging.getLogger(__name__)
# Of this process: what was chosen for a device (the first part of a key), dtype, kind and class of
# shapes, and which forms a warning has named.
choices: dict[tuple, str] = {}
_warned: set[str] = set()
# Threads take turns: one would slow down what another measures.
_turn = threading.Lock()


class Form(NamedTuple):
    """One way to compute the pyramid; the arguments are those of ``factorized``."""

    forward: Callable[..., Tensor]
    backward: Callable[..., list[Tensor]]


class Problem(NamedTuple):
    """What is to be computed."""

    x: Tensor
    weight: Tensor
    rates: Sequence[int]
    concat: bool
    training: bool  # forward and backward


def convolutions_backward(
    x: Tensor, weight: Tensor, grad: Tensor, rates: Sequence[int], concat: bool,
    needs_grad: Sequence[bool],
) -> list[Tensor]:  # fmt: skip
    """Gradients of the definition, for use within an operator, where there is no autograd."""
    grads = grad.split(len(weight), dim=1) if concat else [grad] * len(rates)
    terms = [*zip(grads, paddings(weight, rates), rates, strict=True)]
    gradients = []
    if needs_grad[0]:
        gradients.append([conv2d_input(x.shape, weight, g, 1, p, r) for g, p, r in terms])
    if needs_grad[1]:
        gradients.append([conv2d_weight(x, weight.shape, g, 1, p, r) for g, p, r in terms])
    return [sum(parts[1:], parts[0]) for parts in gradients]


def available_forms(device: str) -> dict[str, Any]:
    """What has ``forward`` and ``backward``, by the name of the backend, on a type of device."""
    forms = {'reference': Form(convolutions, convolutions_backward), 'factorized': factorized}
    if 'triton' in available_backends(device):  # whose module imports Triton
        forms['triton'] = importlib.import_module('.triton.factorized', __package__)
    return forms


def choose(forms: Mapping[str, Any], problem: Problem) -> str:
    """Name of the fastest form that agrees with ``forms['reference']``.

    A form that raises, disagrees or gives NaN is left out with a warning. The rule for CPUs decides
    where there is nothing to choose, where determinism is requested, past :data:`MAX_TRIALS`, and
    where the device must not be waited for and nothing was chosen before.
    """
    x, weight, rates, concat, training = problem
    rule = factorized.choose_by_rule(x.shape[1], rates)
    deterministic = torch.are_deterministic_algorithms_enabled()
    if len(rates) == 1 or len(x) == 0 or deterministic or torch.backends.cudnn.deterministic:
        return rule
    pixels = (x.shape[2] * x.shape[3]).bit_length()
    layout = factorized.memory_format(x)
    key = (x.device, x.dtype, layout, pixels, *weight.shape, *rates, concat, training)
    with _turn:
        if key not in choices:
            if len(choices) >= MAX_TRIALS or must_not_wait(x):
                return rule
            choices[key] = _fastest(forms, problem, rule)
        return choices[key]


def must_not_wait(x: Tensor) -> bool:
    """Whether a CUDA graph is being recorded, or the user looks for what waits for the device."""
    return x.is_cuda and (
        torch.cuda.is_current_stream_capturing() or torch.cuda.get_sync_debug_mode() != 0
    )


def _fastest(forms: Mapping[str, Any], problem: Problem, rule: str) -> str:
    """Name of the fastest form; of the rule's where the convolutions themselves fail."""
    device, shape = problem.x.device, tuple(problem.x.shape)
    bound, seconds = rounding(*problem[:3]), {}
    try:
        tensors = _numbers(problem)
        precise = [t.to(torch.promote_types(t.dtype, torch.float32)) for t in tensors]
        expected = _solve(forms['reference'], problem, precise)
    except RuntimeError as error:  # out of memory, most likely
        _leave_out('reference', device, error)
        return rule
    for name, form in forms.items():
        try:
            if agree(_solve(form, problem, tensors), expected, bound):
                seconds[name] = _time(form, problem, tensors)
            else:
                _leave_out(name, device, 'it disagrees with the reference by more than rounding')
        except Exception as error:  # whatever a compiler or driver may raise
            _leave_out(name, device, error)
    chosen = min(seconds, key=lambda name: seconds[name], default='reference')
    logger.info('PAC on %s, %s: %s of %s', device, shape, chosen, seconds)
    return chosen


def _numbers(problem: Problem) -> list[Tensor]:
    """Normal ones in place of x, weight and the gradient; no random state changes."""
    generator = torch.Generator(problem.x.device).manual_seed(0)

    def normal(like: Tensor) -> Tensor:
        return torch.empty_like(like).normal_(generator=generator)

    x, weight = normal(problem.x[:MAX_IMAGES]), normal(problem.weight)
    weight /= weight[0].numel() ** 0.5  # so that outputs are around 1
    return [x, weight, normal(convolutions(x, weight, problem.rates, problem.concat))]


def _solve(form: Any, problem: Problem, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Output and, in training, the gradients of x and weight."""
    *inputs, grad = tensors
    _, _, *options, training = problem  # rates, concat
    out = form.forward(*inputs, *options)
    return [out, *form.backward(*inputs, grad, *options, (True, True))] if training else [out]


def _time(form: Any, problem: Problem, tensors: Sequence[Tensor]) -> float:
    """Median in seconds."""
    taken = []
    for _ in range(REPEATS):
        start = synchronised_clock(problem.x.device)
        _solve(form, problem, tensors)
        taken.append(synchronised_clock(problem.x.device) - start)
    return statistics.median(taken)


def synchronised_clock(device: torch.device) -> float:
    """``time.perf_counter`` once a device has done all its work."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _leave_out(name: str, device: torch.device, reason: str | Exception) -> None:
    if isinstance(reason, Exception):
        reason = f'it raised {type(reason).__name__} ({" ".join(str(reason).split())[:200]})'
    if name not in _warned:
        _warned.add(name)
        warnings.warn(
            f"backend {name!r} is left out of backend='auto' on {device}: {reason}; results are "
            'not affected, but please report it with the output of `python -m mmseg_pacbal.doctor`',
            stacklevel=2,
        )


def rounding(x: Tensor, weight: Tensor, rates: Sequence[int]) -> float:
    """How far a result of normal numbers may be off, as a share of the largest one.

    Every result is a sum of K products. A form may round each of them to the dtype, or to the ten
    bits of TF32 on a GPU, where errors of random sign amount to less than eps of the sum's standard
    deviation, and it rounds the sum. Adding up rounds K times in float32 or float64: sqrt(K) eps of
    that (Higham and Mary 2019, "A new approach to probabilistic rounding error analysis"). The
    largest of many results is several standard deviations.
    """
    tf32 = x.is_cuda and x.dtype == torch.float32
    eps = 2.0**-10 if tf32 else torch.finfo(x.dtype).eps
    taps = weight[0, 0].numel() * len(rates)
    terms = max(taps * x.shape[1], taps * len(weight), len(rates) * x.numel() // x.shape[1])
    of_sums = torch.promote_types(x.dtype, torch.float32)
    return 2 * eps + terms**0.5 * torch.finfo(of_sums).eps


def agree(actual: list[Tensor], expected: list[Tensor], bound: float) -> bool:
    """Whether errors are within the bound times the largest value; a NaN never agrees."""
    return all(
        a.shape == e.shape and bool((a.to(e.dtype) - e).abs().max() <= bound * e.abs().max())
        for a, e in zip(actual, expected, strict=True)
    )
