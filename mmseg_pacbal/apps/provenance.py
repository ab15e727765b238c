"""The machine and the versions that a figure was measured with."""

import datetime
import platform
import subprocess
from pathlib import Path

import mmengine
import mmseg
import numpy as np
import torch

from ..version import __version__

ROOT = Path(__file__).resolve().parent.parent.parent


def provenance(device: str) -> dict[str, str]:
    """Machine, date, commit of this project (``-modified`` where files changed) and versions."""
    return dict(
        machine=_cpu() if device == 'cpu' else torch.cuda.get_device_name(device),
        device=device,
        commit=_commit(),
        date=datetime.date.today().isoformat(),
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=np.__version__,
        mmsegmentation=mmseg.__version__,
        mmengine=mmengine.__version__,
    )


def _cpu() -> str:
    info = Path('/proc/cpuinfo')
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip().replace('(R)', '')
    return platform.processor() or platform.machine()


def _commit() -> str:
    def git(*command: str) -> str:
        return subprocess.run(
            ['git', *command], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip()

    if not (ROOT / '.git').exists():
        return f'release {__version__}'
    code = ('mmseg_pacbal', 'configs', 'tools', 'benchmarks/*.py')
    changed = git('status', '--porcelain', '--untracked-files=no', '--', *code)
    return git('rev-parse', '--short', 'HEAD') + ('-modified' if changed else '')
