"""What a check is, and how checks are run."""

import contextlib
import io
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch

from ...errors import one_sentence


class Check(NamedTuple):
    """A test of one thing that may be wrong with a machine.

    ``function`` takes a device and returns a description of what it found. It raises :class:`Skip`
    if it cannot run, and any other exception if the check fails; ``advice`` says what to do then.
    """

    name: str
    function: Callable[[torch.device], str]
    advice: str


class Finding(NamedTuple):
    """What a check found; ``status`` is ``'passed'``, ``'skipped'`` or ``'failed'``."""

    name: str
    device: str
    status: str
    detail: str
    advice: str
    seconds: float


class Skip(Exception):  # noqa: N818 (nothing is wrong)
    """A check cannot run here; the message says why."""


def examine(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run every check on the CPU, then on every GPU, one after another."""
    gpus = (f'cuda:{index}' for index in range(torch.cuda.device_count()))
    devices, checks = map(torch.device, ('cpu', *gpus)), list(checks)
    return (_find(check, device) for device in devices for check in checks)


def _find(check: Check, device: torch.device) -> Finding:
    start, advice = time.perf_counter(), ''
    printed = io.StringIO()  # what mmengine prints while it trains
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            status, detail = 'passed', check.function(device)
    except Skip as reason:
        status, detail = 'skipped', str(reason)
    except Exception as error:  # one failure does not end the examination
        status, detail, advice = 'failed', one_sentence(error), check.advice
    seconds = round(time.perf_counter() - start, 2)
    return Finding(check.name, str(device), status, detail, advice, seconds)
