"""The command line: what it accepts, and that it answers before anything heavy is imported."""

import inspect
import json
import os
import subprocess
import sys
from importlib import import_module

import pytest

from mmseg_pacbal.apps import commands
from tests.environments import ROOT

HEAVY = {'torch', 'numpy', 'cv2', 'mmengine', 'mmcv', 'mmseg', 'rich', 'gradio'}
TOOLS = sorted(path.stem for path in (ROOT / 'tools').glob('*.py'))
PROGRAMS = {
    **{tool: [f'tools/{tool}.py'] for tool in TOOLS},
    'doctor': ['mmseg_pacbal.doctor'],
    'pacbal': ['mmseg_pacbal.apps.commands'],
    **{
        c.words: ['mmseg_pacbal.apps.commands', *c.words.split()]
        for c in commands.COMMANDS.values()
    },
}
# Asks each program for help and for what it does not know, and prints what that has imported.
ASK = """
import contextlib, io, json, runpy, sys
from importlib import import_module
found = {}
for name, (program, *words) in json.loads(sys.argv[1]).items():
    for option in ('--help', '--no-such-option'):
        sys.argv = [program, *words, option]
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                if program.endswith('.py'):
                    runpy.run_path(program, run_name='__main__')
                elif program.endswith('commands'):
                    import_module(program).main()
                else:
                    runpy.run_module(program, run_name='__main__')
            except SystemExit as ended:
                code = ended.code
        imported = sorted({module.partition('.')[0] for module in sys.modules})
        found[f'{name} {option}'] = code, imported, out.getvalue()
print(json.dumps(found))
"""


@pytest.fixture(scope='module')
def asked() -> dict[str, tuple[int, list[str], str]]:
    command = [sys.executable, '-c', ASK, json.dumps(PROGRAMS)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(result.stdout)


@pytest.mark.parametrize('name', PROGRAMS)
def test_arguments_come_before_heavy_imports(asked, name):
    for option, expected in (('--help', 0), ('--no-such-option', 2)):
        code, imported, printed = asked[f'{name} {option}']
        assert code == expected, printed
        assert HEAVY & {*imported} == set()
        assert 'usage: ' in printed


def test_every_tool_is_a_command(asked):
    assert {*TOOLS, 'check', 'doctor'} == {*commands.COMMANDS}
    listed = asked['pacbal --help'][2]
    for command in commands.COMMANDS.values():
        assert command.words.split()[0] in listed
        assert command.arguments.__doc__.endswith('.')


@pytest.mark.parametrize('tool', commands.COMMANDS)
def test_a_command_has_a_module_that_does_the_work(tool):
    module = import_module(f'mmseg_pacbal.apps.{commands.COMMANDS[tool].module}')
    assert list(inspect.signature(module.main).parameters) == ['args']


def test_a_command_has_the_options_of_its_tool():
    parser = commands.pacbal()
    for words, tool in (
        (['train', 'a.py', '--resume', '--cfg-options', 'a=1'], 'train'),
        (['weights', 'statistics', 'labels', '--loss', 'beta=1'], 'weight_statistics'),
        (['export', 'a.py', 'b.pth', '--opset', '19'], 'export_onnx'),
    ):
        args = vars(parser.parse_args(words))
        assert args.pop('tool') == tool
        given = words[len(commands.COMMANDS[tool].words.split()) :]
        assert args == vars(commands.parse_args(tool, given))
    checked = vars(parser.parse_args(['check', 'a.py']))
    assert (checked['check'], checked['tool']) == (True, 'check')


def test_completion_in_the_shell(tmp_path):
    pytest.importorskip('argcomplete', reason='needs mmseg-pacbal[completion]')
    code = 'import sys; sys.argv[0] = "pacbal"; from mmseg_pacbal.apps.commands import main; main()'
    line = 'pacbal train a.py --res'
    shell = dict(_ARGCOMPLETE='1', COMP_LINE=line, COMP_POINT=str(len(line)))
    shell |= dict(_ARGCOMPLETE_STDOUT_FILENAME=str(tmp_path / 'words'))
    command = [sys.executable, '-c', code]
    subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, **shell})
    assert (tmp_path / 'words').read_text().split() == ['--resume']


def test_what_is_imported_is_spared_garbage_collection():
    code = (
        'import gc, sys\n'
        'from mmseg_pacbal.apps.commands import spared_garbage_collector\n'
        'for _ in range(2):\n'
        '    try:\n'
        '        with spared_garbage_collector():\n'
        '            made = [[] for _ in range(1000)]\n'
        '            sys.modules["torch"] = gc.isenabled()\n'
        '            raise ImportError\n'
        '    except ImportError:\n'
        '        searched = {id(thing) for thing in gc.get_objects()}\n'
        '        found = sum(id(thing) in searched for thing in made)\n'
        '        print(sys.modules["torch"], gc.isenabled(), found)\n'
    )
    command = [sys.executable, '-c', code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # A second tool in one process, as in tests, keeps nothing more until the process ends.
    assert printed.splitlines() == ['False True 0', 'False True 1000']
