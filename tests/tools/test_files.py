"""Nothing of the user's is overwritten unasked, and no file that is read runs code."""

import argparse
import os
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from mmseg_pacbal import BoundaryAwareLoss, configs
from mmseg_pacbal.apps import cli
from mmseg_pacbal.openmmlab.engine import CheckedRunner, build_runner
from tests.environments import contents
from tests.running import DEMO, call_tool, mistake, small
from tests.tools.test_hostile_checkpoints import Payload

MINE = 'mine'


def check(path: Path, *inputs: Path, overwrite: bool = False) -> None:
    cli.check_outputs(argparse.Namespace(overwrite=overwrite), [path], inputs)


# --- the rule itself ---


@pytest.mark.parametrize('overwrite', [False, True])
def test_files_that_are_never_written(overwrite, tmp_path):
    mine, link, dangling, hard = (tmp_path / name for name in ('mine', 'link', 'dangling', 'hard'))
    mine.write_text(MINE)
    link.symlink_to(mine)
    dangling.symlink_to(tmp_path / 'nowhere')
    hard.hardlink_to(mine)
    relative = Path(os.path.relpath(mine))
    cases = {
        tmp_path: f'{tmp_path} is a folder; give the name of a file as --out',
        mine: f'{mine} is a file that this tool reads; give another --out',
        relative: f'{relative} is a file that this tool reads; give another --out',
        hard: f'{hard} is a file that this tool reads; give another --out',
        dangling: f'{dangling} is a symbolic link to {tmp_path}/nowhere; remove it or give another',
        mine / 'a.png': f'{mine} cannot be written to (Not a directory); give another --out',
        dangling / 'a.png': f'{dangling} cannot be written to (No such file or directory)',
    }
    for path, expected in cases.items():
        with pytest.raises(OSError) as error:
            check(path, mine, tmp_path / 'absent', overwrite=overwrite)
        assert str(error.value).startswith(expected)
    with pytest.raises(FileExistsError, match=f'{link} is a symbolic link to {mine}; remove it or'):
        check(link, overwrite=overwrite)
    assert mine.read_text() == MINE
    assert not (tmp_path / 'nowhere').exists()


def test_existing_files_need_overwrite(tmp_path):
    paths = [tmp_path / name for name in ('new', 'b', 'a')]
    for path in paths[1:]:
        path.write_text(MINE)
    with pytest.raises(FileExistsError) as error:
        cli.check_outputs(argparse.Namespace(overwrite=False), paths, option='--json')
    assert str(error.value) == (
        f'{tmp_path}/b and 1 more would be overwritten; add --overwrite or give another --json'
    )
    cli.check_outputs(argparse.Namespace(overwrite=True), paths)
    assert paths[1].read_text() == MINE  # the check itself leaves it as it was
    assert not paths[0].exists()
    check(tmp_path / 'new' / 'folders' / 'file')
    check(Path('/dev/null'))


def test_place_that_cannot_be_written_to(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr('tempfile.TemporaryFile', refuse)
    with pytest.raises(OSError, match=rf'^{tmp_path} cannot be written to \(Permission denied\); '):
        check(tmp_path / 'new' / 'file')
    path = tmp_path / 'file'
    path.touch()
    monkeypatch.setattr(Path, 'open', refuse)
    with pytest.raises(OSError, match=rf'^{path} cannot be written to \(Permission denied\); '):
        check(path, overwrite=True)


# --- every tool that writes ---


def test_no_tool_overwrites_unasked(tiny, tmp_path, capsys):
    """Nor those that can tell so early only what is in test_commands.py."""
    picture, out = tmp_path / 'a.png', tmp_path / 'out'
    Image.new('RGB', (8, 8)).save(picture)
    # tool and arguments -> the file of the user's where the result would be
    cases = {
        ('predict', *tiny, picture, '--out', out, '--probabilities', 8): 'probabilities/6/a.png',
        ('browse_weights', tiny[0], '--out', out): '00000_2012_000001.png',
        ('run_study', 'table3', '--results', out): 'table.csv',
    }
    for command, name in cases.items():
        mine = out / name
        mine.parent.mkdir(parents=True)
        mine.write_text(MINE)
        sentence = mistake(capsys, *command)
        option = '--results' if 'run_study' in command else '--out'
        expected = f'{mine} would be overwritten; add --overwrite or give another {option}'
        assert sentence == expected, command
        assert contents(out) == {name: MINE.encode()}
        shutil.rmtree(out)


def test_results_are_replaced_on_request(tiny, tmp_path):
    Image.new('RGB', (8, 9)).save(tmp_path / 'a.png')
    results = {'masks': 'P', 'probabilities/6': 'L'}
    for folder in results:
        (tmp_path / 'out' / folder).mkdir(parents=True)
        (tmp_path / 'out' / folder / 'a.png').write_text(MINE)
    options = ('--out', tmp_path / 'out', '--probabilities', 8, '--overwrite')
    call_tool('predict', *tiny, tmp_path / 'a.png', *options)
    for folder, mode in results.items():
        image = Image.open(tmp_path / 'out' / folder / 'a.png')
        assert (image.mode, image.size) == (mode, (8, 9))


# --- the config in a work dir ---


def test_test_leaves_the_config_of_the_training(data, tmp_path):
    path = tmp_path / DEMO.name
    path.write_text(MINE)
    options = dict(data_root=str(data), work_dir=str(tmp_path))
    build_runner(configs.load_config(str(DEMO), options))  # as a test does
    assert path.read_text() == MINE


def test_training_writes_its_config_but_not_over_the_user_s(tmp_path, monkeypatch):
    def train(path: Path) -> None:
        runner = object.__new__(CheckedRunner)
        runner.cfg = configs.load_config(str(path), dict(max_iters=1))
        runner._work_dir = str(tmp_path)
        runner.train()

    monkeypatch.setattr(Runner, 'train', lambda self: None)
    own, saved = tmp_path / 'my.py', tmp_path / DEMO.name
    text = f"# mine\n_base_ = '{DEMO}'\n"
    own.write_text(text)
    train(own)
    assert own.read_text() == text
    train(DEMO)
    # What a run saved is its own: a later run, started with it, brings it up to date.
    text = saved.read_text()
    saved.write_text(text.replace('max_iters = 1', 'max_iters = 7'))
    train(saved)
    assert Config.fromfile(saved).max_iters == 1


# --- nothing that is read runs code ---


def test_pickled_class_weights_are_refused(data, tmp_path, capsys):
    trace, path = tmp_path / 'executed', tmp_path / 'weights.pkl'
    path.write_bytes(pickle.dumps(Payload(trace)))
    sentence = f"but got '{path}' (reading a pickle could run code); store the weights with"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        BoundaryAwareLoss(class_weight=str(path))
    # MMSegmentation's losses would run it.
    loss = ('loss_decode.class_weight', 'loss_decode._delete_=True', 'loss_decode.type')
    options = [
        f'model.decode_head.{name}'
        for name in (f'{loss[0]}={path}', loss[1], f'{loss[2]}=CrossEntropyLoss')
    ]
    command = ('train', DEMO, '--work-dir', tmp_path / 'work', *small(data, *options))
    assert sentence in mistake(capsys, *command)
    np.save(tmp_path / 'weights.npy', np.array([Payload(trace)] * 7), allow_pickle=True)
    text = f'!!python/object/apply:os.mkdir ["{trace}"]'
    (tmp_path / 'weights.yaml').write_text(text)  # mmengine loads YAML with its unsafe loader
    for name in ('weights.npy', 'weights.yaml'):
        with pytest.raises(ValueError, match='class_weight must be None, or one finite number'):
            BoundaryAwareLoss(class_weight=str(tmp_path / name))
        options[0] = f'model.decode_head.{loss[0]}={tmp_path / name}'
        command = ('train', DEMO, '--work-dir', tmp_path / 'work', *small(data, *options))
        assert 'class_weight must be None' in mistake(capsys, *command)
    assert not trace.exists()


def test_yaml_config_holds_data_alone(tmp_path):
    trace, path = tmp_path / 'executed', tmp_path / 'config.yaml'
    path.write_text(f'model: !!python/object/apply:os.mkdir ["{trace}"]')
    with pytest.raises(ValueError, match=r'config\.yaml does not parse: .*python/object/apply'):
        configs.load_config(str(path))
    assert not trace.exists()
    yaml.unsafe_load(path.read_text())
    assert trace.exists()  # else this would prove nothing
    Config(dict(a=(1, (2, 3)), b=[4])).dump(str(path))  # which writes tuples with a tag
    assert Config.fromfile(path).a == (1, (2, 3))
