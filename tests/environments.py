"""Fresh processes, and fresh environments beside the current one."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Where a virtual environment has its folders. Python 3.10 has no scheme of that name.
SCHEME = 'venv' if 'venv' in sysconfig.get_scheme_names() else 'posix_prefix'
PIP = (sys.executable, '-m', 'pip')
LOCAL = ('--quiet', '--no-deps', '--no-build-isolation')


def copy_checkout(folder: Path) -> Path:
    """A copy to build from, since building writes into the tree."""
    skipped = shutil.ignore_patterns('.*', 'data', 'work_dirs', '*.egg-info', '__pycache__')
    return shutil.copytree(ROOT, folder, ignore=skipped)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (path for path in sorted(folder.rglob('*')) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def build_wheel(folder: Path) -> Path:
    source, out = copy_checkout(folder / 'source'), folder / 'wheel'
    subprocess.run([*PIP, 'wheel', *LOCAL, '-w', out, source], check=True)
    return next(out.glob('*.whl'))


def run_python(
    code: str, *args: object, cwd: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess:
    """Run code in a process of its own, which finds this checkout.

    Args:
        code: Of Python.
        args: What it finds in ``sys.argv`` behind its name.
        cwd: The working directory.
        variables: Of its environment, beside those of this process.
    """
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code, *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, 'PYTHONPATH': str(ROOT), **variables},
    )


def printed_by(code: str, *args: object, **options: object) -> str:
    """What code prints that ends without an error; see :func:`run_python`."""
    result = run_python(code, *args, **options)
    assert result.returncode == 0, result.stderr
    return result.stdout


class Environment:
    """A virtual environment that also has the packages of the current one, save some.

    Args:
        folder: Where to make it.
        without: How the names of what is left out begin; this project is always left out.
    """

    def __init__(self, folder: Path, without: Sequence[str] = ()) -> None:
        venv.create(folder, symlinks=True)
        self.bin = Path(sysconfig.get_path('scripts', SCHEME, dict(base=str(folder))))
        self.python = self.bin / 'python'
        # Links outside the environment's own folder of packages: pip does not touch those.
        parent = folder / 'parent'
        parent.mkdir()
        for entry in Path(sysconfig.get_path('purelib')).iterdir():
            if not entry.name.startswith(('mmseg_pacbal', '__editable__', *without)):
                (parent / entry.name).symlink_to(entry)
        site = sysconfig.get_path('purelib', SCHEME, dict(base=str(folder)))
        # addsitedir reads the .pth files there as well: setuptools brings distutils by one.
        Path(site, 'parent.pth').write_text(f'import site; site.addsitedir({str(parent)!r})\n')

    def install(self, *arguments: object) -> None:
        command = [*PIP, '--python', self.python, 'install', '--quiet', *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr

    def install_from_index(self, *requirements: str, deps: bool = True) -> None:
        """Install published packages, or skip the test where there is no index to be reached."""
        command = [*PIP, 'download', *LOCAL, '--dest', self.bin.parent / 'reached']
        found = subprocess.run([*command, *requirements], capture_output=True, check=False)
        if found.returncode:
            pytest.skip(f'no package index with {" ".join(requirements)} can be reached')
        self.install(*requirements, *([] if deps else LOCAL))

    def run(self, *command: object, cwd: Path) -> str:
        """What a command prints; it is run as a user would, outside the checkout."""
        env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
        result = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            env={**env, 'OMP_NUM_THREADS': '1'},
        )
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
        return result.stdout
