"""How far the demo's score moves with CPU kernels and threads: python -m benchmarks.machines

Runs tools/demo.py once under each setting, then prints a table and the range. What follows ``--``
is handed to the demo.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mmseg_pacbal.apps.provenance import provenance
from mmseg_pacbal.markdown import to_markdown

DEMO = Path(__file__).resolve().parent.parent / 'tools' / 'demo.py'
# Environment variables that hold a library to older instructions; docs/machines.md says more.
LOWEST = dict(ATEN_CPU_CAPABILITY='default', ONEDNN_MAX_CPU_ISA='SSE41', MKL_CBWR='COMPATIBLE')
AVX2 = dict(ATEN_CPU_CAPABILITY='avx2', ONEDNN_MAX_CPU_ISA='AVX2', MKL_CBWR='AVX2')
SETTINGS = {
    'own kernels, 1 thread': dict(OMP_NUM_THREADS='1'),
    'own kernels, 2 threads': dict(OMP_NUM_THREADS='2'),
    'own kernels, 4 threads': dict(OMP_NUM_THREADS='4'),
    'AVX2, 2 threads': {**AVX2, 'OMP_NUM_THREADS': '2'},
    'oldest, 1 thread': {**LOWEST, 'OMP_NUM_THREADS': '1'},
}


def measure(setting: dict[str, str], options: list[str]) -> dict[str, float]:
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


def table(measured: dict[str, dict[str, float]]) -> str:
    """Markdown: a row for each setting, then the range of mIoU."""
    rows = [[name, f'{m["mIoU"]:.2f}', f'{m["minutes"]:.1f}'] for name, m in measured.items()]
    scores = [m['mIoU'] for m in measured.values()]
    where = provenance('cpu')
    return (
        f'{to_markdown(["kernels", "mIoU", "minutes"], rows, left=1)}\n\n'
        f'mIoU {min(scores):.2f} to {max(scores):.2f}; {where["machine"]}, torch {where["torch"]}, '
        f'commit {where["commit"]}, {where["date"]}.'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('options', nargs='*', help='of tools/demo.py, after --')
    options = parser.parse_args().options
    measured = {}
    for name, setting in SETTINGS.items():
        measured[name] = measure(setting, options)
        print(f'{name}: {measured[name]}', flush=True)
    print(f'\n{table(measured)}')


if __name__ == '__main__':
    main()
