"""The wheel carries every module, config and tool, and nothing else."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    source = tmp_path_factory.mktemp('source') / 'repo'
    # A copy, since building writes into the tree.
    skipped = shutil.ignore_patterns('.*', 'data', 'work_dirs', '*.egg-info', '__pycache__')
    shutil.copytree(ROOT, source, ignore=skipped)
    out = source.parent / 'wheel'
    command = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation']
    subprocess.run([*command, '-w', out, source], check=True)
    return zipfile.ZipFile(next(out.glob('*.whl')))


def test_wheel_holds_modules_configs_and_tools_only(wheel):
    def files(folder: str, prefix: str = '') -> set[str]:
        return {
            prefix + path.relative_to(ROOT).as_posix()
            for path in (ROOT / folder).rglob('*')
            if path.suffix in ('.py', '.sh')
        }

    in_package = 'mmseg_pacbal/.mim/'
    expected = files('mmseg_pacbal') | files('configs', in_package) | files('tools', in_package)
    found = {name for name in wheel.namelist() if '.dist-info/' not in name}
    assert found == expected


def test_wheel_carries_the_licence(wheel):
    names = [name for name in wheel.namelist() if name.endswith('LICENSE')]
    assert len(names) == 1
    assert wheel.read(names[0]) == (ROOT / 'LICENSE').read_bytes()


def test_configs_of_the_wheel_are_found_and_inherited(wheel, tmp_path):
    """From a folder outside the repository, with the wheel's files first on the path."""
    wheel.extractall(tmp_path / 'site')
    mine = tmp_path / 'mine.py'
    mine.write_text("_base_ = __import__('mmseg_pacbal').config('pac_bal_voc.py')\n")
    code = (
        'import mmseg_pacbal\n'
        'from mmengine.config import Config\n'
        'print(mmseg_pacbal.__file__, mmseg_pacbal.config("pac_bal_voc.py"))\n'
        'print(Config.fromfile("mine.py").model.decode_head.type)\n'
    )
    result = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={'PYTHONPATH': str(tmp_path / 'site')},
    )
    places, head = result.stdout.split('\n')[:2]
    assert all(place.startswith(str(tmp_path / 'site')) for place in places.split())
    assert head == 'PACHead'
