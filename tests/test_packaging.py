"""The wheel carries every module, config and tool, and nothing else."""

import subprocess
import sys
import zipfile

import pytest

from tests.environments import ROOT, build_wheel


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    return zipfile.ZipFile(build_wheel(tmp_path_factory.mktemp('build')))


def test_wheel_holds_modules_configs_and_tools_only(wheel):
    def files(folder: str, suffixes: tuple[str, ...], prefix: str = '') -> set[str]:
        return {
            prefix + path.relative_to(ROOT).as_posix()
            for path in (ROOT / folder).rglob('*')
            if path.suffix in suffixes
        }

    in_package = 'mmseg_pacbal/.mim/'
    expected = files('mmseg_pacbal', ('.py',)) | {in_package + 'model-index.yml'}
    expected |= files('configs', ('.py', '.yml', '.md'), in_package)
    expected |= files('tools', ('.py', '.sh'), in_package)
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
