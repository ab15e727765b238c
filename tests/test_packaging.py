"""Wheel and sdist carry every module, config and tool, and nothing else."""

import ast
import runpy
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.environments import LOCAL, PIP, ROOT, build_wheel, copy_checkout

LICENCES = {'LICENSE', 'NOTICE'}
SETUP = runpy.run_path(str(ROOT / 'setup.py'))
BUILD_SDIST = 'import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])'


def files(folder: str, *suffixes: str) -> set[str]:
    found = (path for path in (ROOT / folder).rglob('*') if path.suffix in suffixes)
    return {path.relative_to(ROOT).as_posix() for path in found}


MODULES = files('mmseg_pacbal', '.py', '.typed')
BESIDE = files('configs', '.py', '.yml', '.md') | files('tools', '.py', '.sh') | {'model-index.yml'}


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    return zipfile.ZipFile(build_wheel(tmp_path_factory.mktemp('build')))


@pytest.fixture(scope='module')
def sdist(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('sdist')
    source = copy_checkout(folder / 'source')
    command = [sys.executable, '-c', BUILD_SDIST, folder]
    subprocess.run(command, check=True, capture_output=True, cwd=source)
    return next(folder.glob('*.tar.gz'))


@pytest.fixture(scope='module')
def metadata(wheel) -> Message:
    name = next(name for name in wheel.namelist() if name.endswith('.dist-info/METADATA'))
    return message_from_bytes(wheel.read(name))


def test_wheel_holds_modules_configs_and_tools_only(wheel):
    found = {name for name in wheel.namelist() if '.dist-info/' not in name}
    assert found == MODULES | {f'mmseg_pacbal/.mim/{name}' for name in BESIDE}


def test_wheel_carries_licence_and_notices(wheel):
    licences = {name for name in wheel.namelist() if '/licenses/' in name}
    assert {Path(name).name for name in licences} == LICENCES
    for name in licences:
        assert wheel.read(name) == (ROOT / Path(name).name).read_bytes()


def test_notices_name_files_that_exist():
    lines = (ROOT / 'NOTICE').read_text().splitlines()
    starts = ('mmseg_pacbal/', 'configs/', 'tools/', 'docs/')
    words = (word.strip('.,') for line in lines for word in line.split())
    places = {word for word in words if word.startswith(starts)}
    places -= {'tools/dataset_converters/voc_aug.py'}  # MMSegmentation's
    assert len(places) >= 10
    assert [place for place in sorted(places) if not (ROOT / place).exists()] == []


def test_sdist_holds_what_makes_the_wheel_only(sdist):
    with tarfile.open(sdist) as archive:
        names = [Path(member.name) for member in archive if member.isfile()]
    assert {name.parts[0] for name in names} == {sdist.name.removesuffix('.tar.gz')}
    found = {name.relative_to(name.parts[0]).as_posix() for name in names}
    generated = {name for name in found if name.startswith('mmseg_pacbal.egg-info/')}
    generated |= {'PKG-INFO', 'setup.cfg'}
    build = {'setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md'}
    assert found - generated == MODULES | BESIDE | LICENCES | build


def test_sdist_and_checkout_make_the_same_wheel(wheel, sdist, tmp_path):
    subprocess.run([*PIP, 'wheel', *LOCAL, '-w', tmp_path, sdist], check=True)
    other = zipfile.ZipFile(next(tmp_path.glob('*.whl')))
    assert set(other.namelist()) == set(wheel.namelist())
    assert [name for name in other.namelist() if other.read(name) != wheel.read(name)] == []


def test_metadata_says_which_python(metadata):
    assert SpecifierSet(metadata['Requires-Python']) == SpecifierSet('>=3.10')
    stated = {c.rpartition(' ')[2] for c in metadata.get_all('Classifier') if '3.' in c}
    assert stated == {'3.10', '3.11', '3.12', '3.13'}
    assert 'target-version = "py310"' in (ROOT / 'pyproject.toml').read_text()


def test_page_on_pypi_has_no_relative_links(metadata):
    page = metadata.get_payload()
    assert '# mmseg-pacbal' in page and 'of any MMSegmentation model' in page
    assert SETUP['RELATIVE'].findall(page) == []
    assert metadata.get_all('Project-URL') is None  # no repository was given


def test_links_on_pypi_lead_to_the_tag_in_the_repository():
    text = '![picture](docs/a.png)\n[README](README.md#two), [there](https://x.org/a), [top](#top)'
    home, version = 'https://example.org/o/n', SETUP['VERSION']
    assert SETUP['readme'](text, home) == (
        f'![picture]({home}/raw/v{version}/docs/a.png)\n'
        f'[README]({home}/blob/v{version}/README.md#two), [there](https://x.org/a), [top](#top)'
    )
    assert SETUP['readme'](text, '') == '\nREADME, [there](https://x.org/a), [top](#top)'
    assert SETUP['urls']('') == {}
    assert SETUP['urls'](home)['Changelog'] == f'{home}/blob/v{version}/CHANGELOG.md'


@pytest.mark.slow
def test_build_and_twine_accept_the_project(tmp_path):
    missing = {'build', 'twine'} - {found.name for found in distributions()}
    if missing:
        pytest.skip(f'not installed: {", ".join(sorted(missing))}')
    source, out = copy_checkout(tmp_path / 'source'), tmp_path / 'dist'
    build = [sys.executable, '-m', 'build', '--no-isolation', '--outdir', out, source]
    subprocess.run(build, check=True, capture_output=True, cwd=tmp_path)
    files = sorted(out.iterdir())
    assert [file.name for file in files] == [
        f'mmseg_pacbal-{SETUP["VERSION"]}-py3-none-any.whl',
        f'mmseg_pacbal-{SETUP["VERSION"]}.tar.gz',
    ]
    check = [sys.executable, '-m', 'twine', 'check', '--strict', *files]
    result = subprocess.run(check, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_imported_package_is_required(metadata):
    required = {canonicalize_name(Requirement(r).name) for r in metadata.get_all('Requires-Dist')}
    providers = packages_distributions()
    missing = {}
    for file in sorted(MODULES | files('tools', '.py')):
        for module in imported_modules(file):
            # The maintained fork stands in for what it was forked from.
            found = (name.removeprefix('onedl-') for name in providers.get(module, [module]))
            names = {canonicalize_name(name) for name in found}
            if not names & required:
                missing[module] = file
    assert missing == {}


def imported_modules(file: str) -> set[str]:
    """Top-level names that a file imports, those of Python itself and our own left out."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.partition('.')[0])
    return found - sys.stdlib_module_names - {'mmseg_pacbal'}
