"""What a check is, how checks are run, and what is printed of them."""

import contextlib
import io
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ... import compat
from ...errors import one_sentence
from ...stack import version
from ..provenance import provenance

PACKAGES = ('mmcv', 'mmcv-lite', 'opencv-python', 'triton', 'onnxruntime')
VARIABLES = (
    *('OMP_NUM_THREADS', 'CUDA_VISIBLE_DEVICES', 'ATEN_CPU_CAPABILITY', 'ONEDNN_MAX_CPU_ISA'),
    *('MKL_CBWR', 'MMSEG_PACBAL_BACKEND', 'TORCH_ALLOW_TF32_CUBLAS_OVERRIDE'),
)
COLOURS = {'passed': 'green', 'skipped': 'yellow', 'failed': 'bold red'}


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
    try:
        # What mmengine prints while it trains is dropped.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            status, detail = 'passed', check.function(device)
    except Skip as reason:
        status, detail = 'skipped', str(reason)
    except Exception as error:  # one failure does not end the examination
        status, detail, advice = 'failed', one_sentence(error), check.advice
    seconds = round(time.perf_counter() - start, 2)
    return Finding(check.name, str(device), status, detail, advice, seconds)


def facts() -> dict:
    """Versions, devices, settings and what compat fixed."""
    return dict(
        **provenance('cpu'),
        mmseg_pacbal=version('mmseg-pacbal'),
        packages={name: installed for name in PACKAGES if (installed := version(name))},
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        threads=torch.get_num_threads(),
        gpus=[torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version() if torch.cuda.is_available() else None,
        environment={name: os.environ[name] for name in VARIABLES if name in os.environ},
        fixed_by_compat=dict(compat.fixed),
    )


def print_fixed(fixed: dict[str, str]) -> None:
    """Print what compat fixed here, and why."""
    print('compat fixed:' if fixed else 'compat had nothing to fix')
    print(''.join(f'- {name}: {reason}\n' for name, reason in fixed.items()))


def print_findings(findings: Sequence[Finding]) -> None:
    """Print a table, then "all well" or a list of failures with advice."""
    console = Console()
    if not console.is_terminal:
        console.width = 140
    table = Table('device', 'check', 'status', 'detail', 'seconds')
    for f in findings:
        status = f'[{COLOURS[f.status]}]{f.status}[/]'
        table.add_row(f.device, f.name, status, escape(f.detail), f'{f.seconds:.1f}')
    console.print(table)
    failed = [f for f in findings if f.status == 'failed']
    console.print('failed:' if failed else 'all well')
    for f in failed:
        console.print(f'- {f.name} on {f.device}: {escape(f.detail)}. {f.advice}')


def pasteable(known: dict, findings: Sequence[Finding]) -> str:
    """A block of Markdown: versions, timings, and all checks that did not pass."""
    names = ('mmseg_pacbal', 'commit', 'python', 'torch', 'numpy', 'mmengine', 'mmsegmentation')
    versions = {name: known[name] for name in names} | known['packages']
    shown = [f for f in findings if f.status != 'passed' or f.name.startswith('speed')]
    lines = [
        ', '.join(f'{name} {version}' for name, version in versions.items()),
        f'{known["machine"]}, {known["cpu_capability"]}, {known["threads"]} threads; GPUs: '
        f'{", ".join(known["gpus"]) or "none"}; CUDA {known["cuda"]}, cuDNN {known["cudnn"]}',
        f'compat fixed: {", ".join(known["fixed_by_compat"]) or "nothing"}; environment: '
        f'{known["environment"] or "nothing set"}',
        *(f'{f.status}: {f.name} on {f.device}: {f.detail}'[:300] for f in shown),
        f'{sum(f.status == "passed" for f in findings)} of {len(findings)} checks passed',
    ]
    return '\n'.join(['```text', *lines, '```'])
