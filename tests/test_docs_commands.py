"""Every command line of README and docs is accepted by the program that it calls."""

import argparse
import itertools
import re
import runpy
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.pages import PAGES, commands, lines

# Programs of others, whose options are theirs to check.
OTHERS = {
    '[',
    'exit',
    'git',
    'mim',
    'mkdocs',
    'mypy',
    'ray',
    'ruff',
    'scontrol',
    'tail',
    'tensorboard',
}
COMMANDS = sorted({command for page in PAGES for command in commands(page)})


class ParsedError(BaseException):
    """Raised once a program has parsed its arguments, in place of what it would do then."""


@pytest.fixture
def only_parse(monkeypatch) -> None:
    """Programs end when they have parsed their arguments."""
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(*args: object, **kwargs: object) -> None:
        parse(*args, **kwargs)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse_and_stop)
    monkeypatch.setattr(sys, 'path', [*sys.path])  # scripts of the same name shadow nothing


def extras() -> set[str]:
    table = (ROOT / 'pyproject.toml').read_text().partition('[project.optional-dependencies]')[2]
    return set(re.findall(r'^(\w+) = \[', table.partition('\n[')[0], re.MULTILINE))


def run_parser(monkeypatch, words: list[str]) -> None:
    """Give words to the parser of a script or, after ``-m``, of a module."""
    module = words[0] == '-m'
    program, arguments = (words[1], words[2:]) if module else (words[0], words[1:])
    path = find_spec(program) if module else ROOT / program
    assert path is not None, f'there is no module {program}'
    place = module_file(program) if module else path
    assert place.is_file(), f'there is no {program}'
    if not re.search(r'ArgumentParser|harness|parser\(|import main|import run', place.read_text()):
        assert not arguments, f'{program} takes no arguments'
        return
    monkeypatch.setattr(sys, 'argv', [program, *arguments])
    monkeypatch.chdir(ROOT)
    try:
        if module:
            runpy.run_module(program, run_name='__main__', alter_sys=True)
        else:
            runpy.run_path(str(path), run_name='__main__')
    except ParsedError:
        return
    except ModuleNotFoundError as error:
        pytest.skip(f'{error.name} is not installed')
    except SystemExit:
        pytest.fail(f'{program} refuses {shlex.join(arguments)}')
    pytest.fail(f'{program} did not parse its arguments')


def module_file(program: str) -> Path:
    spec = find_spec(program)
    if spec.submodule_search_locations:
        spec = find_spec(f'{program}.__main__')
    return Path(spec.origin)


def check_pip(words: list[str]) -> None:
    """The files that pip is given exist, and so do the extras of this project."""
    assert words[0] in ('check', 'install', 'uninstall', 'wheel')
    for option, value in itertools.pairwise(words):
        if option == '-c':
            assert (ROOT / value).is_file(), value
    for word in words:
        found = re.fullmatch(r'(?:\.|mmseg-pacbal)\[([\w,]+)\]', word)
        if found:
            assert set(found[1].split(',')) <= extras(), word


def check_pytest(words: list[str], markers: list[str]) -> None:
    """What pytest is given exists, and the markers are those of pyproject.toml."""
    p = argparse.ArgumentParser(exit_on_error=False)
    p.add_argument('places', nargs='*')
    p.add_argument('-m', default='')
    p.add_argument('-n', type=int)  # of pytest-xdist
    p.add_argument('-k')
    given = p.parse_known_args(words)[0]
    known = {line.partition(':')[0] for line in markers} | {'and', 'or', 'not'}
    assert set(re.findall(r'\w+', given.m)) <= known, given.m
    for place in given.places:
        assert place == '...' or (ROOT / place.partition('::')[0]).exists(), place


def check_script(monkeypatch, words: list[str]) -> None:
    """The shell scripts pass everything after the names of the config and its places to Python."""
    script = ROOT / words[0]
    assert script.stat().st_mode & 0o100, f'{words[0]} cannot be executed'
    python = re.search(r'/(\w+\.py)"', script.read_text())[1]
    # PARTITION JOB_NAME CONFIG ..., or CONFIG ... with the number of processes.
    slurm = 'slurm' in script.name
    arguments = words[3:] if slurm else [word for word in words[1:] if not word.isdigit()]
    run_parser(monkeypatch, [f'tools/{python}', *arguments])


def check(command: str, monkeypatch, markers: list[str]) -> None:
    """Fail unless the program that a command calls accepts its arguments."""
    words = shlex.split(command)
    while words and re.match(r'\w+=', words[0]):  # variables of the environment
        words = words[1:]
    if not words or '<' in command:  # a name to be filled in
        return
    program, *arguments = words
    if program == 'pytest' or words[:3] == ['python', '-m', 'pytest']:
        check_pytest(arguments if program == 'pytest' else words[3:], markers)
    elif program == 'python' or program.endswith('.py'):
        run_parser(monkeypatch, arguments if program == 'python' else words)
    elif program == 'pip':
        check_pip(arguments)
    elif program.endswith('.sh'):
        check_script(monkeypatch, words)
    else:
        assert program in OTHERS, program


@pytest.mark.parametrize('command', COMMANDS)
def test_command_is_accepted(command, monkeypatch, only_parse, pytestconfig):
    check(command, monkeypatch, pytestconfig.getini('markers'))


def test_commands_are_found():
    assert len(COMMANDS) > 100
    assert 'python tools/demo.py' in commands(ROOT / 'README.md')
    block = 'tools/train.py \\\n    my.py  # mine\npip check | tail -1 && pytest\n'
    assert lines(block) == ['tools/train.py my.py', 'pip check', 'tail -1', 'pytest']


@pytest.mark.parametrize(
    'command',
    [
        'python tools/train.py',
        'python tools/train.py a.py --cheque',
        'python tools/no_such_tool.py',
        'python -m benchmarks.no_such_module',
        'python -m benchmarks.pages --all',
        'pip install -e ".[no_such_extra]"',
        'pytest -m no_such_marker',
        'pytest tests/no_such_test.py',
        'tools/dist_train.sh a.py 2 --cheque',
        'no_such_program',
    ],
)
def test_wrong_command_is_noticed(command, monkeypatch, only_parse, pytestconfig):
    refusals = (AssertionError, argparse.ArgumentError, pytest.fail.Exception)
    with pytest.raises(refusals):
        check(command, monkeypatch, pytestconfig.getini('markers'))
