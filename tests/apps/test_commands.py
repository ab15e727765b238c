"""The command line: what it accepts, and that it answers before anything heavy is imported."""

import ast
import inspect
import json
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mmseg_pacbal import configs
from mmseg_pacbal.apps import commands, refusals
from tests.environments import ROOT, contents, printed_by, run_python

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
# Runs programs one after another, and prints the code that each ends with, what has been imported
# until then, and what it said.
ASK = """
import contextlib, io, json, runpy, sys
from importlib import import_module
found = {}
for name, (program, *words) in json.loads(sys.argv[1]).items():
    sys.argv = [program, *words]
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
    found[name] = code, imported, out.getvalue()
print(json.dumps(found))
"""
Answers = dict[str, tuple[int, list[str], str]]


def ask(calls: dict[str, list[str]], folder: Path = ROOT) -> Answers:
    return json.loads(printed_by(ASK, json.dumps(calls), cwd=folder))


@pytest.fixture(scope='module')
def asked() -> Answers:
    """What each program says to ``--help`` and to what it does not know."""
    options = ('--help', '--no-such-option')
    return ask({f'{name} {o}': [*call, o] for name, call in PROGRAMS.items() for o in options})


@pytest.mark.parametrize('name', PROGRAMS)
def test_arguments_come_before_heavy_imports(asked, name):
    for option, expected in (('--help', 0), ('--no-such-option', 2)):
        code, imported, printed = asked[f'{name} {option}']
        assert code == expected, printed
        assert HEAVY & {*imported} == set()
        assert 'usage: ' in printed


# Arguments that a command refuses, below a folder with what they name, and what it says.
OVERWRITTEN = 'would be overwritten; add --overwrite or give another'
READ = 'a.pth is a file that this tool reads; give another --out'
REFUSED = {
    'train none.py': 'config none.py does not exist',
    'train a.py --work-dir work': (
        'work holds checkpoints of an earlier run, which a new one would overwrite; add --resume to'
    ),
    'check none.py': 'config none.py does not exist',
    'test a.py none.pth': 'checkpoint none.pth does not exist',
    'test a.py a.pth --out out': f'out/masks/a.png and 1 more {OVERWRITTEN} --out',
    'test a.py a.pth --show-dir out': f'out/vis_data/config.py {OVERWRITTEN} --show-dir',
    'test a.py a.pth --opacity 0.5': (
        '--opacity is of the pictures in --show-dir, which was not given'
    ),
    'predict a.py a.pth none --out new': 'none does not exist; give an image or a folder',
    'predict a.py a.pth images --out out': f'out/masks/a.png {OVERWRITTEN} --out',
    'predict a.py a.pth images --out new --opacity -0.1': (
        '--opacity must be from 0 to 1, but got -0.1'
    ),
    'predict a.py a.pth images --out new --opacity nan': (
        '--opacity must be from 0 to 1, but got nan'
    ),
    'visualize a.py a.pth --figure loss --out out/old.png': f'out/old.png {OVERWRITTEN} --out',
    'visualize a.py a.png --figure loss --out a.png --overwrite': READ.replace('pth', 'png'),
    'visualize a.py a.pth --figure comparison --out b.png --compare a.py none.pth': (
        'checkpoint none.pth does not exist'
    ),
    'weights browse a.py --num 0': '--num must be 1 or more, but got 0',
    'weights statistics none': 'none holds no label map *.png',
    'weights explore --labels none': '--labels none does not exist',
    'weights explore a.py --labels images': '--labels needs no config',
    'analyze a.py a.pth --out done': f'done/regions.md and 1 more {OVERWRITTEN} --out',
    'analyze a.py a.pth --out new --compare a.py none.pth': 'checkpoint none.pth does not exist',
    'compare out': 'out/calibration.csv does not exist',
    'compare images': 'images/regions.csv does not exist',
    'export a.py a.pth': f'a.onnx {OVERWRITTEN} --out',
    'export a.py a.pth --out b.onnx': f'b.onnx.data {OVERWRITTEN} --out',
    'export a.py a.pth --out a.pth --overwrite': READ,
    'study none': 'there is no study ',
    'demo --work-dir work': f'work/last_checkpoint and 1 more {OVERWRITTEN} --work-dir',
    'demo --work-dir done': f'done/panels.png {OVERWRITTEN} --work-dir',
    'doctor --json out/old.png': f'out/old.png {OVERWRITTEN} --json',
    'prepare-voc --voc none': 'none does not exist; give the path of a file or an http(s) URL',
    'prepare-voc --voc a.pth --sbd none': 'none does not exist; give the path of a file or an htt',
    'prepare-voc --check --out out': 'out holds no VOC2012; give the VOCdevkit folder as --out',
    'convert-lite0 none': 'there is no file none',
    'convert-lite0 a.pth --out out/old.png': f'out/old.png {OVERWRITTEN} --out',
    'convert-lite0 a.pth --out a.pth --overwrite': READ,
}


@pytest.fixture(scope='module')
def refused(tmp_path_factory) -> Answers:
    folder = tmp_path_factory.mktemp('refused')
    for name in (
        *('a.py', 'a.pth', 'a.png', 'a.onnx', 'b.onnx.data', 'images/a.jpg'),
        *('work/iter_2.pth', 'work/last_checkpoint', 'done/panels.png'),
        *('done/regions.md', 'done/calibration.csv', 'out/regions.csv'),
        *('out/old.png', 'out/masks/a.png', 'out/vis_data/config.py'),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('mine')
    before = contents(folder)
    calls = {words: ['mmseg_pacbal.apps.commands', *words.split()] for words in REFUSED}
    said = ask(calls, folder)
    assert contents(folder) == before
    return said


@pytest.mark.parametrize('words', REFUSED)
def test_what_arguments_name_is_looked_at_before_heavy_imports(refused, words):
    code, imported, said = refused[words]
    assert said.startswith(f'error: {REFUSED[words]}'), said
    assert (code, HEAVY & {*imported}) == (1, set())


def test_every_tool_refuses_what_it_can():
    assert {*refusals.OWN} == {*TOOLS, 'doctor'}


@pytest.mark.parametrize('rank', ['RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'])
def test_one_of_several_processes_speaks(rank, monkeypatch, capsys):
    for value, said in (('0', 'loading\n'), ('1', '')):
        monkeypatch.setenv(rank, value)
        configs.say('loading', sys.stderr)
        assert capsys.readouterr().err == said
    assert configs.is_first_process('none')  # as of a sweep: it trains in a work dir of its own


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
    run_python(code, **shell)
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
    # A second tool in one process, as in tests, keeps nothing more until the process ends.
    assert printed_by(code).splitlines() == ['False True 0', 'False True 1000']


def test_sentences_name_commands_that_a_wheel_has():
    """A wheel has no ``tools/``, nor a project that could be installed as editable."""
    clone = re.compile(r'tools/\w+\.py|pip install -e')
    for path in sorted((ROOT / 'mmseg_pacbal').rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Raise, ast.Call)):
                said = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
                assert not clone.search(repr(said)), f'{path}: {said}'


def test_nothing_heavy_is_imported_before_the_garbage_collector_is_spared():
    code = (
        'import sys\n'
        'from mmseg_pacbal.apps import commands\n'
        f'commands.spared_garbage_collector = lambda: sys.exit(len({HEAVY} & {{*sys.modules}}))\n'
        'commands.run("train")\n'
    )
    given = ['configs/pac_bal_demo.py', '--cfg-options', 'max_iters=1', 'data_root=a b']
    printed_by(code, *given)
