"""How the text of an option is read."""

import re
import shlex

import pytest
from mmengine.config import DictAction

from mmseg_pacbal.apps import cli, commands
from mmseg_pacbal.apps.study.command import planned
from mmseg_pacbal.apps.study.plan import load_study
from tests.environments import ROOT

HOOK = dict(type='ChannelsLastHook')


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ("[dict(type='ChannelsLastHook')]", [HOOK]),
        ('[{"type": "ChannelsLastHook"}]', [HOOK]),
        ("\"[dict(type='ChannelsLastHook')]\"", [HOOK]),  # a shell that leaves the quotes
        ("dict(type='A b', size=(3, -4), inner=dict(x=[None, True], y=.5))",
         dict(type='A b', size=(3, -4), inner=dict(x=[None, True], y=0.5))),
        ('{}', {}),
        ('dict()', {}),
        ("[(1, dict(a='x,y(')), 'b']", [(1, dict(a='x,y(')), 'b']),
    ],
)  # fmt: skip
def test_dicts_are_read_as_python(text, value):
    assert cli.read_value(text) == value


@pytest.mark.parametrize(
    'text',
    [
        *('1', '-1.5', '1e-3', 'None', 'true', 'False', 'abc', "'abc'", '"1"', "'a,b'", ''),
        *('1,2,3', '(1,2)', '(1)', '[1]', '[]', '()', '[a,b]', "['a', 'b']", '[(1,2),[a],c]'),
        *('a=b', 'x{}', 'iter_{}.pth', '{a}', '{x:d}', '{epoch:02d}', '[{a},b]', 'a{b,c}'),
        *('data/dict(1)/x', 'predict(1)', 'a.dict(1)', 'http://a/b?c={d}', '[1,2', 'C:\\a\\n'),
    ],
)
def test_what_holds_no_dict_is_read_by_mmengine(text):
    def read(reader):
        try:
            value = reader(text)
        except AssertionError as error:  # brackets that do not match
            return str(error)
        return value, type(value)

    assert read(cli.read_value) == read(DictAction._parse_iterable)


@pytest.mark.parametrize('text', ['/my data/x', '/my {data}', "'/my data'"])
def test_spaces_in_a_path_stay(text):
    assert cli.read_value(text) == text.strip("'")


@pytest.mark.parametrize(
    'text',
    [
        '[dict(type=ChannelsLastHook)]',
        "[dict(type='A']",
        "dict(type=__import__('os').getcwd())",
        'dict(**{})',
        'dict([(1, 2)])',
    ],
)
def test_a_dict_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match='cannot be read; write lists and dicts as in') as caught:
        cli.read_value(text)
    assert str(caught.value).startswith(repr(text))


def test_options_have_a_name_and_a_value(capsys):
    words = ['a=1', 'b.c=0.5', 'd=None', 'e=x=y', 'f=[(a,2),c]', 'g="1, 2"']
    args = commands.parse_args('train', ['a.py', '--cfg-options', *words])
    cli.read_options(args)
    expected = {'a': 1, 'b.c': 0.5, 'd': None, 'e': 'x=y', 'f': [('a', 2), 'c'], 'g': [1, 2]}
    assert args.cfg_options == expected
    with pytest.raises(SystemExit) as ended:
        commands.parse_args('train', ['a.py', '--cfg-options', 'max_iters=3', 'crop_size'])
    assert ended.value.code == 2
    assert "--cfg-options takes KEY=VALUE, such as max_iters=8000, but got 'crop_size'" in (
        capsys.readouterr().err
    )


def commands_of_the_plan() -> list[str]:
    page = (ROOT / 'docs' / 'study_plan.md').read_text().replace('\\\n', '')
    return re.findall(r'python tools/run_study\.py (.*--cfg-options .*"custom_hooks=.*)', page)


def test_the_hooks_of_the_plan_reach_its_runs():
    assert len(commands_of_the_plan()) == 4
    for words in commands_of_the_plan():
        args = commands.parse_args('run_study', shlex.split(words))
        cli.read_options(args)
        study = load_study(args.study, args.dataset)
        for run in planned(args, study, amp=None):
            assert run.cfg.custom_hooks == [HOOK]
