"""What ``backend='auto'`` chooses: by a measured rule on CPUs, by a trial on other devices.

We have measured nothing on other devices, so there every form is timed and compared with the
reference on the user's own device, as ``torch.backends.cudnn.benchmark`` does for convolutions.
"""

import logging
import statistics
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .taps import is_channels_last

MIN_SAVED = 128  # multiplications for a pixel, tap and output, from which on factorizing pays
MAX_TRIALS = 64  # in a process: with images of random sizes the trials would not end
MAX_IMAGES = 2  # in a trial: every form processes images one by one or in parts
REPEATS = 3

logger = logging.getLogger(__name__)


class Form(NamedTuple):
    """One way to compute the pyramid; the arguments are those of ``factorized``."""

    forward: Callable[..., Tensor]
    backward: Callable[..., list[Tensor]]


class Problem(NamedTuple):
    """What is computed in a trial; grad is None in inference."""

    x: Tensor
    weight: Tensor
    rates: Sequence[int]
    concat: bool
    grad: Tensor | None

    def with_tensors(self, change: Callable[[Tensor], Tensor]) -> 'Problem':
        grad = None if self.grad is None else change(self.grad)
        return self._replace(x=change(self.x), weight=change(self.weight), grad=grad)

    def solve(self, form: Form) -> list[Tensor]:
        """Output and, in training, the gradients of x and weight."""
        out = form.forward(self.x, self.weight, self.rates, self.concat)
        if self.grad is None:
            return [out]
        arguments = (self.x, self.weight, self.grad, self.rates, self.concat, (True, True))
        return [out, *form.backward(*arguments)]


def choose_by_rule(channels: int, rates: Sequence[int]) -> str:
    """``'reference'`` or ``'factorized'``, by what the factorized form saves.

    For every pixel, tap and output it saves C_in * (rates - 1) multiplications and costs one
    addition for each rate, which a convolution does at no extra cost. The saving from which on it
    is faster was measured on a CPU (``python -m benchmarks.pyramid_atrous_conv_grid``), in
    inference and in training, in float32 and bfloat16.

    Args:
        channels: C_in.
        rates: Atrous rates.
    """
    return 'factorized' if channels * (len(rates) - 1) >= MIN_SAVED else 'reference'


def must_not_vary() -> bool:
    """Whether the user asked for the same kernels in every run."""
    return torch.are_deterministic_algorithms_enabled() or torch.backends.cudnn.deterministic


def is_capturing(x: Tensor) -> bool:
    """Whether a CUDA graph is being recorded: nothing can be timed or looked at then."""
    return x.is_cuda and torch.cuda.is_current_stream_capturing()


@contextmanager
def waiting_allowed(device: torch.device) -> Iterator[None]:
    """Lift ``torch.cuda.set_sync_debug_mode``: a trial has to wait for the device."""
    if device.type != 'cuda':
        yield
        return
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode('default')
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(mode)


class Trials:
    """The choices of a process, one for each device, dtype, kind and class of shapes.

    Args:
        clock: Time in seconds once the device, its argument, has done all its work.

    Attributes:
        choices: What was chosen; the first part of a key is the device.
    """

    def __init__(self, clock: Callable[[torch.device], float]) -> None:
        self.clock = clock
        self.choices: dict[tuple, str] = {}
        self._warned: set[str] = set()
        # Threads take turns: one would slow down what another measures.
        self._turn = threading.RLock()

    def choose(
        self,
        forms: Mapping[str, Form],
        x: Tensor,
        weight: Tensor,
        rates: Sequence[int],
        concat: bool,
        training: bool,
    ) -> str:
        """Name of the fastest form that agrees with ``forms['reference']``.

        A form that raises, disagrees or gives NaN is left out with a warning. Random state and
        gradients are not touched. Sizes are told apart by the power of two that the number of
        pixels reaches. The rule decides past :data:`MAX_TRIALS`, and while a CUDA graph is
        recorded if nothing was chosen before.

        Args:
            forms: By name; only these are tried.
            x: (N, C_in, H, W), without gradient.
            weight: (C_out, C_in, kh, kw), without gradient.
            rates: Atrous rates.
            concat: Whether there is an output for each rate.
            training: Whether the backward pass is timed too.
        """
        pixels = (x.shape[2] * x.shape[3]).bit_length()
        key = (x.device, x.dtype, is_channels_last(x), pixels, *weight.shape, *rates)
        key += (concat, training)
        with self._turn:
            if key not in self.choices:
                full = len(self.choices) >= MAX_TRIALS
                if len(rates) == 1 or len(x) == 0 or full or is_capturing(x):
                    return choose_by_rule(x.shape[1], rates)
                with waiting_allowed(x.device):
                    chosen = self._fastest(forms, x, weight, rates, concat, training)
                if chosen is None:
                    return choose_by_rule(x.shape[1], rates)
                self.choices[key] = chosen
            return self.choices[key]

    def _fastest(
        self,
        forms: Mapping[str, Form],
        x: Tensor,
        weight: Tensor,
        rates: Sequence[int],
        concat: bool,
        training: bool,
    ) -> str | None:
        """Its name; None where NaN or infinity in the batch leaves nothing to compare."""
        problem = Problem(x[:MAX_IMAGES], weight, rates, concat, None)
        reference = forms['reference']
        try:
            if training:
                problem = problem._replace(grad=some_gradient(problem.solve(reference)[0]))
            expected, bounds = right_results(problem, reference)
        except RuntimeError as error:  # out of memory, most likely
            self._leave_out('reference', x.device, f'it raised {_named(error)}')
            return choose_by_rule(x.shape[1], rates)
        if not all(bool(tensor.isfinite().all()) for tensor in expected):
            return None
        seconds = {}
        for name, form in forms.items():
            try:
                if name != 'reference' and not agree(problem.solve(form), expected, bounds):
                    reason = 'it disagrees with the reference by more than rounding'
                    self._leave_out(name, x.device, reason)
                    continue
                seconds[name] = self._time(problem, form)
            except Exception as error:  # whatever a compiler or driver may raise
                self._leave_out(name, x.device, f'it raised {_named(error)}')
        chosen = min(seconds, key=lambda name: seconds[name], default='reference')
        logger.info('PAC on %s, %s: %s of %s', x.device, tuple(x.shape), chosen, seconds)
        return chosen

    def _time(self, problem: Problem, form: Form) -> float:
        taken = []
        for _ in range(REPEATS):
            start = self.clock(problem.x.device)
            problem.solve(form)
            taken.append(self.clock(problem.x.device) - start)
        return statistics.median(taken)

    def _leave_out(self, name: str, device: torch.device, reason: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            warnings.warn(
                f"backend {name!r} is left out of backend='auto' on {device}: {reason}; results "
                'are not affected, but please report it with the output of '
                '`python -m mmseg_pacbal.doctor`',
                stacklevel=2,
            )


def synchronised_clock(device: torch.device) -> float:
    """``time.perf_counter`` once a device has done all its work."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    return time.perf_counter()


def some_gradient(out: Tensor) -> Tensor:
    """A gradient made of an output: no random number is drawn, and float16 does not overflow."""
    wide = out.to(torch.promote_types(out.dtype, torch.float32))  # for a divisor beyond 65504
    scale = wide.abs().amax() * (out.numel() / out.shape[1]) ** 0.5
    return (wide / scale.clamp(min=1e-3)).to(out.dtype)


def right_results(
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
    of_sums = torch.promote_types(x.dtype, torch.float32)
    place = place or dict(dtype=of_sums)
    exact = problem.with_tensors(lambda tensor: tensor.to(**place))
    absolute = exact.with_tensors(Tensor.abs)
    taps = len(rates) * weight.shape[2] * weight.shape[3]
    terms = (taps * x.shape[1], taps * weight.shape[0], len(rates) * x.numel() / x.shape[1])
    eps, eps_sum = rounding(x), torch.finfo(of_sums).eps
    tiny = torch.finfo(x.dtype).smallest_normal  # below it rounding errors are absolute
    sums = absolute.solve(reference)
    bounds = [
        2 * (eps + k**0.5 * eps_sum / 2) * size + tiny
        for size, k in zip(sums, terms[: len(sums)], strict=True)
    ]
    return exact.solve(reference), bounds


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


def agree(actual: list[Tensor], expected: list[Tensor], bounds: list[Tensor]) -> bool:
    """Whether all differ by no more than the bounds; a NaN never agrees."""
    return all(
        a.shape == e.shape and bool(((a.to(e.dtype) - e).abs() <= b).all())
        for a, e, b in zip(actual, expected, bounds, strict=True)
    )


def _named(error: Exception) -> str:
    return f'{type(error).__name__} ({" ".join(str(error).split())[:200]})'
