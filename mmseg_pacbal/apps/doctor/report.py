"""What the doctor prints."""

import os
from collections.abc import Sequence

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ... import compat
from ...stack import version
from ..provenance import provenance
from .examination import Finding

PACKAGES = ('mmcv', 'mmcv-lite', 'opencv-python', 'triton', 'onnxruntime')
VARIABLES = (
    *('OMP_NUM_THREADS', 'CUDA_VISIBLE_DEVICES', 'ATEN_CPU_CAPABILITY', 'ONEDNN_MAX_CPU_ISA'),
    *('MKL_CBWR', 'MMSEG_PACBAL_BACKEND', 'TORCH_ALLOW_TF32_CUBLAS_OVERRIDE'),
)
COLOURS = {'passed': 'green', 'skipped': 'yellow', 'failed': 'bold red'}


def facts() -> dict:
    """Versions, devices, settings and what compat fixed."""
    return dict(
        **provenance('cpu'),
        mmseg_pacbal=version('mmseg-pacbal'),
        packages={name: found for name in PACKAGES if (found := version(name))},
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        threads=torch.get_num_threads(),
        gpus=[torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version() if torch.cuda.is_available() else None,
        environment={name: os.environ[name] for name in VARIABLES if name in os.environ},
        fixed_by_compat=dict(compat.fixed),
    )


def print_fixed(known: dict) -> None:
    """Print what compat fixed here, and why."""
    fixed = known['fixed_by_compat']
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
    lines = [
        ', '.join(f'{name} {version}' for name, version in versions.items()),
        f'{known["machine"]}, {known["cpu_capability"]}, {known["threads"]} threads; GPUs: '
        f'{", ".join(known["gpus"]) or "none"}; CUDA {known["cuda"]}, cuDNN {known["cudnn"]}',
        f'compat fixed: {", ".join(known["fixed_by_compat"]) or "nothing"}; environment: '
        f'{known["environment"] or "nothing set"}',
    ]
    for f in findings:
        if f.status != 'passed' or f.name.startswith('speed'):
            lines.append(f'{f.status}: {f.name} on {f.device}: {f.detail}'[:300])
    passed = sum(f.status == 'passed' for f in findings)
    lines.append(f'{passed} of {len(findings)} checks passed')
    return '\n'.join(['```text', *lines, '```'])
