"""What ``backend='auto'`` chooses on a GPU: the fastest form in a trial on the user's own device.

No rule for GPUs has been measured, so every form is timed and compared with the convolutions, as
``torch.backends.cudnn.benchmark`` does for the algorithms of one convolution.
"""

import logging
import statistics
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

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
_turn = threading.RLock()


class Form(NamedTuple):
    """One way to compute the pyramid; the arguments are those of ``factorized``."""

    forward: Callable[..., Tensor]
    backward: Callable[..., list[Tensor]]


class Problem(NamedTuple):
    """What is computed; grad is None in inference."""

    x: Tensor
    weight: Tensor
    rates: Sequence[int]
    concat: bool
    grad: Tensor | None = None

    def with_tensors(self, change: Callable[[Tensor], Tensor]) -> 'Problem':
        grad = None if self.grad is None else change(self.grad)
        return self._replace(x=change(self.x), weight=change(self.weight), grad=grad)

    def solve(self, form: Form) -> list[Tensor]:
        """Output and, in training, the gradients of x and weight."""
        x, weight, rates, concat, grad = self
        out = form.forward(x, weight, rates, concat)
        if grad is None:
            return [out]
        return [out, *form.backward(x, weight, grad, rates, concat, (True, True))]


def convolutions_backward(
    x: Tensor,
    weight: Tensor,
    grad: Tensor,
    rates: Sequence[int],
    concat: bool,
    needs_grad: Sequence[bool],
) -> list[Tensor]:
    """Gradients of the definition, for use within an operator, where there is no autograd."""
    grads = grad.split(len(weight), dim=1) if concat else [grad] * len(rates)
    found = [
        torch.ops.aten.convolution_backward(
            *(part, x, weight, None),
            *([1, 1], padding, [rate, rate], False, [0, 0], 1),  # stride ... groups
            [*needs_grad, False],
        )[:2]
        for part, rate, padding in zip(grads, rates, paddings(weight, rates), strict=True)
    ]
    of_each = zip(zip(*found, strict=True), needs_grad, strict=True)
    return [sum(parts[1:], parts[0]) for parts, needed in of_each if needed]


reference_form = Form(convolutions, convolutions_backward)


def available_forms(device: str) -> dict[str, Form]:
    """The forms that can run on a type of device, by the name of their backend."""
    forms = {
        'reference': reference_form,
        'factorized': Form(factorized.forward, factorized.backward),
    }
    if 'triton' in available_backends(device):
        from .triton import factorized as kernels  # imports Triton

        forms['triton'] = Form(kernels.forward, kernels.backward)
    return forms


def fastest_form(
    x: Tensor, weight: Tensor, rates: Sequence[int], concat: bool, training: bool
) -> Form:
    """The form that :func:`choose` names."""
    forms = available_forms(x.device.type)
    return forms[choose(forms, Problem(x, weight, rates, concat), training)]


def choose(forms: Mapping[str, Form], problem: Problem, training: bool) -> str:
    """Name of the fastest form that agrees with ``forms['reference']``.

    A form that raises, disagrees or gives NaN is left out with a warning. Random state and tensors
    are left alone. The rule for CPUs decides where determinism is requested, past
    :data:`MAX_TRIALS`, where NaN or infinity in the batch leaves nothing to compare, and where the
    device must not be waited for and nothing was chosen before.

    Args:
        forms: By name; only these are tried.
        problem: Its tensors are without gradient.
        training: Whether the backward pass is timed too.
    """
    x, weight, rates, concat, _ = problem
    rule = factorized.choose_by_rule(x.shape[1], rates)
    if deterministic_requested():
        return rule
    pixels = (x.shape[2] * x.shape[3]).bit_length()
    layout = factorized.is_channels_last(x)
    key = (x.device, x.dtype, layout, pixels, *weight.shape, *rates, concat, training)
    with _turn:
        if key not in choices:
            full = len(choices) >= MAX_TRIALS
            if len(rates) == 1 or len(x) == 0 or full or must_not_wait(x):
                return rule
            if (chosen := _fastest(forms, problem, training)) is None:
                return rule
            choices[key] = chosen
        return choices[key]


def _fastest(forms: Mapping[str, Form], problem: Problem, training: bool) -> str | None:
    """Its name; None where the reference gives nothing to compare with."""
    x, reference = problem.x, forms['reference']
    problem = problem._replace(x=x[:MAX_IMAGES])
    try:
        if training:
            problem = problem._replace(grad=probe_gradient(problem.solve(reference)[0]))
        expected, tolerance = expected_and_tolerance(problem, reference)
    except RuntimeError as error:  # out of memory, most likely
        _leave_out('reference', x.device, _raised(error))
        return factorized.choose_by_rule(x.shape[1], problem.rates)
    if not all(bool(tensor.isfinite().all()) for tensor in expected):
        return None
    seconds = {}
    for name, form in forms.items():
        try:
            if name != 'reference' and not agree(problem.solve(form), expected, tolerance):
                reason = 'it disagrees with the reference by more than rounding'
                _leave_out(name, x.device, reason)
                continue
            seconds[name] = _time(problem, form)
        except Exception as error:  # whatever a compiler or driver may raise
            _leave_out(name, x.device, _raised(error))
    chosen = min(seconds, key=lambda name: seconds[name], default='reference')
    logger.info('PAC on %s, %s: %s of %s', x.device, tuple(x.shape), chosen, seconds)
    return chosen


def _time(problem: Problem, form: Form) -> float:
    """Median in seconds."""
    taken = []
    for _ in range(REPEATS):
        start = synchronised_clock(problem.x.device)
        problem.solve(form)
        taken.append(synchronised_clock(problem.x.device) - start)
    return statistics.median(taken)


def synchronised_clock(device: torch.device) -> float:
    """``time.perf_counter`` once a device has done all its work."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _raised(error: Exception) -> str:
    return f'it raised {type(error).__name__} ({" ".join(str(error).split())[:200]})'


def _leave_out(name: str, device: torch.device, reason: str) -> None:
    if name not in _warned:
        _warned.add(name)
        warnings.warn(
            f"backend {name!r} is left out of backend='auto' on {device}: {reason}; results are "
            'not affected, but please report it with the output of `python -m mmseg_pacbal.doctor`',
            stacklevel=2,
        )


def deterministic_requested() -> bool:
    """Whether the user asked for the same kernels in every run."""
    return torch.are_deterministic_algorithms_enabled() or torch.backends.cudnn.deterministic


def must_not_wait(x: Tensor) -> bool:
    """Whether a CUDA graph is being recorded, or the user looks for what waits for the device."""
    return x.is_cuda and (
        torch.cuda.is_current_stream_capturing() or torch.cuda.get_sync_debug_mode() != 0
    )


def probe_gradient(out: Tensor) -> Tensor:
    """A gradient made of an output: no random number is drawn, and float16 does not overflow."""
    wide = out.to(torch.promote_types(out.dtype, torch.float32))  # for a divisor beyond 65504
    scale = wide.abs().amax() * (out.numel() / out.shape[1]) ** 0.5
    return (wide / scale.clamp(min=1e-3)).to(out.dtype)


def expected_and_tolerance(
    problem: Problem, reference: Form, **place: Any
) -> tuple[list[Tensor], list[Tensor]]:
    """Results in float32 or better, and for each element how far a correct form may be from it.

    They are computed with the device and dtype that ``place``, arguments of ``Tensor.to``, gives;
    by default on the problem's own device in float32, or in float64 if the problem is.

    Every result is a sum of K products t. A form may round each product to the dtype (relative
    error eps / 2), and it rounds the sum (again eps / 2). Adding up rounds K times in the dtype of
    sums, float32 or float64; errors of random sign amount to sqrt(K) * eps_sum / 2 * sum |t|
    (Higham and Mary 2019, "A new approach to probabilistic rounding error analysis"). Twice the
    sum of these three is accepted. The sums of |t| are the results for absolute values.
    """
    x, weight, rates, *_ = problem
    of_sums = factorized.accumulation_dtype(x)
    place = place or dict(dtype=of_sums)
    exact = problem.with_tensors(lambda tensor: tensor.to(**place))
    absolute = exact.with_tensors(Tensor.abs)
    taps = len(rates) * weight.shape[2] * weight.shape[3]
    terms = (taps * x.shape[1], taps * weight.shape[0], len(rates) * x.numel() / x.shape[1])
    eps, eps_sum = rounding(x), torch.finfo(of_sums).eps
    tiny = torch.finfo(x.dtype).smallest_normal  # below it rounding errors are absolute
    sums = absolute.solve(reference)
    tolerance = [
        2 * (eps + k**0.5 * eps_sum / 2) * size + tiny
        for size, k in zip(sums, terms[: len(sums)], strict=True)
    ]
    return exact.solve(reference), tolerance


def rounding(x: Tensor) -> float:
    """Rounding of products of x's dtype: 2^-10 where the user allowed TF32, which has ten bits."""
    if x.dtype == torch.float32 and x.is_cuda and allows_tf32():
        return 2.0**-10
    return torch.finfo(x.dtype).eps


def allows_tf32() -> bool:
    """Whether matrix products or convolutions of float32 may be computed in TF32."""
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn  # its annotations lack conv
    # From torch 2.9 on: to read the older flags is an error once a newer one was set.
    if hasattr(matmul, 'fp32_precision'):
        return 'tf32' in (matmul.fp32_precision, cudnn.conv.fp32_precision)
    return cudnn.allow_tf32 or matmul.allow_tf32


def agree(actual: list[Tensor], expected: list[Tensor], tolerance: list[Tensor]) -> bool:
    """Whether all differ by no more than the tolerance; a NaN never agrees."""
    return all(
        a.shape == e.shape and bool(((a.to(e.dtype) - e).abs() <= t).all())
        for a, e, t in zip(actual, expected, tolerance, strict=True)
    )
