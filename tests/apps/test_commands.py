"""The command line: what it accepts, and that it answers before anything heavy is imported."""

import json
import subprocess
import sys

import pytest

from tests.environments import ROOT

HEAVY = {'torch', 'numpy', 'cv2', 'mmengine', 'mmcv', 'mmseg', 'rich', 'gradio'}
LATER = {'compare_errors', 'explore_weights', 'run_study'}
TOOLS = sorted({path.stem for path in (ROOT / 'tools').glob('*.py')} - LATER)
# Asks each program for help and for what it does not know, and prints what that has imported.
ASK = """
import contextlib, io, json, runpy, sys
found = {}
for tool in sys.argv[1:]:
    path = f'tools/{tool}.py'
    for option in ('--help', '--no-such-option'):
        sys.argv = [path, option]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                runpy.run_path(path, run_name='__main__')
            except SystemExit as ended:
                code = ended.code
        found[f'{tool} {option}'] = code, sorted({name.partition('.')[0] for name in sys.modules})
print(json.dumps(found))
"""


@pytest.fixture(scope='module')
def asked() -> dict[str, tuple[int, set[str]]]:
    command = [sys.executable, '-c', ASK, *TOOLS]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return {name: (code, set(names)) for name, (code, names) in json.loads(result.stdout).items()}


@pytest.mark.parametrize('tool', TOOLS)
def test_arguments_come_before_heavy_imports(asked, tool):
    for option, expected in (('--help', 0), ('--no-such-option', 2)):
        code, imported = asked[f'{tool} {option}']
        assert code == expected
        assert imported & HEAVY == set()
