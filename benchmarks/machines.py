"""How far the demo's score moves with CPU kernels and threads.

python -m benchmarks.machines    runs tools/demo.py once under each setting
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import main
from benchmarks.records import ROOT, place, span
from mmseg_pacbal.markdown import to_markdown

DEMO = ROOT / 'tools' / 'demo.py'
# Environment variables that restrict a library to older instructions; see docs/machines.md.
LOWEST = dict(ATEN_CPU_CAPABILITY='default', ONEDNN_MAX_CPU_ISA='SSE41', MKL_CBWR='COMPATIBLE')
AVX2 = dict(ATEN_CPU_CAPABILITY='avx2', ONEDNN_MAX_CPU_ISA='AVX2', MKL_CBWR='AVX2')
SETTINGS = {
    'own kernels, 1 thread': dict(OMP_NUM_THREADS='1'),
    'own kernels, 2 threads': dict(OMP_NUM_THREADS='2'),
    'own kernels, 4 threads': dict(OMP_NUM_THREADS='4'),
    'AVX2, 2 threads': {**AVX2, 'OMP_NUM_THREADS': '2'},
    'oldest, 1 thread': {**LOWEST, 'OMP_NUM_THREADS': '1'},
}


def measure(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    return {name: run_demo(SETTINGS[name], shlex.split(args.options)) for name in SETTINGS}


def run_demo(setting: dict[str, str], options: list[str]) -> dict[str, float]:
    """Scores of the trained demo, and its minutes.

    Raises:
        subprocess.CalledProcessError: The demo failed; its output is shown.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(DEMO), '--work-dir', folder, *options]
        result = subprocess.run(
            command, env={**os.environ, **setting}, capture_output=True, text=True, check=False
        )
        if result.returncode:
            print(result.stdout[-2000:], result.stderr[-2000:], file=sys.stderr)
            result.check_returncode()
        found = json.loads(Path(folder, 'results.json').read_text())
    return dict(mIoU=found['trained']['mIoU'], minutes=found['minutes'])


def table(record: dict) -> str:
    """A row for each setting, then the range of mIoU."""
    measured = record['results']
    rows = [[name, f'{m["mIoU"]:.2f}', f'{m["minutes"]:.1f}'] for name, m in measured.items()]
    scores = span([m['mIoU'] for m in measured.values()], 2)
    found = to_markdown(['kernels', 'mIoU', 'minutes'], rows, left=1)
    return f'{found}\n\nmIoU {scores}; {place(record)}'


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, device='cpu', options='')
