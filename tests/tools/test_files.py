"""Nothing of the user's is overwritten unasked, and no file that is read runs code."""

import argparse
import functools
import http.server
import os
import pickle
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.runner import CheckpointLoader, Runner
from PIL import Image
from torch import nn

from mmseg_pacbal import BoundaryAwareLoss, configs
from mmseg_pacbal.apps import cli
from mmseg_pacbal.openmmlab.checkpoint_checks import check_checkpoint, check_initial_weights
from mmseg_pacbal.openmmlab.engine import CheckedRunner, build_runner
from mmseg_pacbal.openmmlab.inference import init_inferencer
from tests.running import DEMO, call_tool, mistake, small

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


def test_no_tool_overwrites_unasked(tiny, data, tmp_path, capsys):
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    weights = tmp_path / 'weights.pth'
    torch.save({}, weights)
    out = tmp_path / 'out'
    # tool and arguments -> the file of the user's where the result would be
    cases = {
        ('predict', *tiny, tmp_path / 'a.png', '--out', out): 'masks/a.png',
        ('visualize', tiny[0], '--figure', 'weights', '--out', out / 'f.pdf'): 'f.pdf',
        ('analyze_errors', *tiny, '--out', out): 'calibration.csv',
        ('export_onnx', *tiny, '--out', out / 'a.onnx'): 'a.onnx.data',
        ('browse_weights', tiny[0], '--out', out): '00000_2012_000001.png',
        ('demo', '--work-dir', out, *small(data)): 'panels.png',
        ('test', *tiny, '--work-dir', tmp_path, '--out', out): 'other.png',
        ('test', *tiny, '--work-dir', tmp_path, '--show-dir', out): 'vis_data/config.py',
        ('run_study', 'table3', '--results', out): 'table.csv',
        ('convert_lite0', weights, '--out', out / 'a.pth'): 'a.pth',
    }
    for command, name in cases.items():
        mine = out / name
        mine.parent.mkdir(parents=True)
        mine.write_text(MINE)
        sentence = mistake(capsys, *command)
        option = next(o for o in ('--show-dir', '--results', '--out', '--work-dir') if o in command)
        expected = f'{mine} would be overwritten; add --overwrite or give another {option}'
        assert sentence == expected, command
        assert [path for path in out.rglob('*') if path.is_file()] == [mine]
        assert mine.read_text() == MINE
        shutil.rmtree(out)


def test_demo_does_not_overwrite_checkpoints(data, tmp_path, capsys):
    (tmp_path / 'iter_600.pth').write_text(MINE)
    sentence = mistake(capsys, 'demo', '--work-dir', tmp_path, *small(data))
    assert sentence.startswith(f'{tmp_path}/iter_600.pth would be overwritten')


def test_doctor_does_not_overwrite_its_report(monkeypatch, tmp_path, capsys):
    from mmseg_pacbal.apps import doctor

    path = tmp_path / 'found.json'
    path.write_text(MINE)
    monkeypatch.setattr(doctor, 'CHECKS', [])
    monkeypatch.setattr('sys.argv', ['doctor', '--json', str(path)])
    with pytest.raises(SystemExit):
        doctor.main()
    assert f'{path} would be overwritten; add --overwrite' in capsys.readouterr().err
    assert path.read_text() == MINE
    monkeypatch.setattr('sys.argv', ['doctor', '--json', str(path), '--overwrite'])
    doctor.main()
    assert path.read_text() != MINE


@pytest.mark.parametrize('tool', ['export_onnx', 'visualize', 'convert_lite0'])
def test_no_tool_destroys_what_it_reads(tool, tiny, tmp_path, capsys):
    """Even when it is asked to overwrite."""
    checkpoint = shutil.copy(tiny[1], tmp_path / 'model.pdf')
    before = checkpoint.read_bytes()
    given = (checkpoint,) if tool == 'convert_lite0' else (tiny[0], checkpoint)
    options = ('--figure', 'loss') if tool == 'visualize' else ()
    sentence = mistake(capsys, tool, *given, *options, '--out', checkpoint, '--overwrite')
    assert sentence == f'{checkpoint} is a file that this tool reads; give another --out'
    assert checkpoint.read_bytes() == before


def test_results_are_replaced_on_request(tiny, tmp_path):
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    mask = tmp_path / 'out' / 'masks' / 'a.png'
    mask.parent.mkdir(parents=True)
    mask.write_text(MINE)
    call_tool('predict', *tiny, tmp_path / 'a.png', '--out', tmp_path / 'out', '--overwrite')
    assert Image.open(mask).mode == 'P'


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


class Payload:
    """A call of a harmless function that leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_pickled_class_weights_are_refused(data, tmp_path, capsys):
    trace, path = tmp_path / 'executed', tmp_path / 'weights.pkl'
    path.write_bytes(pickle.dumps(Payload(trace)))
    sentence = f"but got '{path}': reading a pickle could run code, so store the weights with"
    with pytest.raises(ValueError, match=sentence):
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
    with pytest.raises(ValueError, match='class_weight must be None, or one finite number'):
        BoundaryAwareLoss(class_weight=str(tmp_path / 'weights.npy'))
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


@pytest.fixture
def served(tmp_path) -> Iterator[str]:
    """The address of a folder ``served``."""
    folder = tmp_path / 'served'
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


def test_checkpoint_from_a_url_runs_nothing(served, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
    trace = tmp_path / 'executed'
    torch.save(dict(a=torch.ones(2)), tmp_path / 'served' / 'good.pth')
    torch.save(dict(meta=Payload(trace)), tmp_path / 'served' / 'hostile.pth', pickle_module=pickle)
    load = CheckpointLoader.load_checkpoint
    assert load(f'{served}/good.pth', map_location='cpu')['a'].tolist() == [1, 1]
    with pytest.raises(pickle.UnpicklingError, match=r'was not loaded, as it carries .*run code'):
        load(f'{served}/hostile.pth', map_location='cpu')
    assert not trace.exists()


# --- numbers that are none, and data sets that are others ---


def changed(tiny: tuple[Path, Path], path: Path, **meta: object) -> dict:
    """The weights of the tiny model, which were written to a path too, with meta if given."""
    weights = torch.load(tiny[1], weights_only=True)['state_dict']
    torch.save(dict(state_dict=weights, meta=meta), path)
    return weights


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value, tmp_path):
    model = nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2))
    model.register_buffer('mask', torch.tensor([-np.inf, 0]))  # which is meant
    path = tmp_path / 'a.pth'
    torch.save(model.state_dict(), path)
    check_checkpoint(model, path)
    check_initial_weights(model, str(path))
    torch.save(dict(model.state_dict(), **{'1.running_var': torch.tensor([value, 1])}), path)
    for check_weights in (check_checkpoint, check_initial_weights):
        with pytest.raises(ValueError, match=r'not finite: 1\.running_var; the training that'):
            check_weights(model, str(path))


def test_no_tool_takes_weights_that_are_not_finite(tiny, tmp_path, capsys):
    path = tmp_path / 'diverged.pth'
    weights = changed(tiny, path)
    weights['decode_head.conv_seg.weight'][2, 1] = np.nan
    torch.save(dict(state_dict=weights, meta={}, optimizer={}, message_hub={}), path)
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    out, work = tmp_path / 'out', ('--work-dir', tmp_path / 'work')
    for command in (
        ('predict', tiny[0], path, tmp_path / 'a.png', '--out', out),
        ('visualize', tiny[0], path, '--figure', 'qualitative', '--out', out / 'f.png'),
        ('analyze_errors', tiny[0], path, '--out', out, *work),
        ('export_onnx', tiny[0], path, '--out', out / 'a.onnx'),
        ('test', tiny[0], path, *work),
        ('train', tiny[0], *work, '--cfg-options', f'load_from={path}'),
        ('train', tiny[0], *work, '--resume', '--cfg-options', f'load_from={path}'),
    ):
        assert mistake(capsys, *command) == (
            f'checkpoint {path} holds numbers that are not finite: decode_head.conv_seg.weight; '
            'the training that wrote it diverged, so give an earlier checkpoint'
        )
    assert not out.exists()


def test_scores_that_are_not_finite_are_refused(tiny, tmp_path, capsys):
    """Finite weights may still give sums that overflow."""
    path = tmp_path / 'large.pth'
    weights = changed(tiny, path)
    weights['decode_head.conv_seg.weight'].fill_(3e38)
    torch.save(dict(state_dict=weights), path)
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    given = (tiny[0], path)
    out = ('--out', tmp_path / 'out')
    sentence = mistake(capsys, 'predict', *given, tmp_path / 'a.png', *out)
    assert sentence.startswith(f'the logits of {tmp_path}/a.png are not finite numbers, so its')
    sentence = mistake(capsys, 'visualize', *given, '--figure', 'loss', '--out', tmp_path / 'f.png')
    assert 'are not finite numbers' in sentence
    sentence = mistake(capsys, 'export_onnx', *given, '--out', tmp_path / 'a.onnx')
    assert sentence.startswith(f'the logits of {path} are not finite numbers')
    assert not any((tmp_path / name).exists() for name in ('out', 'f.png', 'a.onnx'))


@pytest.mark.parametrize('value', [None, {}, [], 3, {'classes': None, 'palette': None}])
def test_checkpoint_without_a_data_set(value, tiny, tmp_path):
    path = tmp_path / 'model.pth'
    changed(tiny, path, dataset_meta=value)
    meta = init_inferencer(tiny[0], path, device='cpu').model.dataset_meta
    assert meta['classes'][:2] == ('background', 'disk')
    torch.save(dict(torch.load(path, weights_only=True), meta=value), path)
    init_inferencer(tiny[0], path, device='cpu')


def folder_config(tmp_path: Path, tiny: tuple[Path, Path]) -> Path:
    """The tiny model on a FolderDataset that is absent, with its classes.txt."""
    path = tmp_path / 'folder.py'
    path.write_text(
        f"_base_ = '{tiny[0]}'\n"
        'pipeline = [dict(type="LoadImageFromFile"), dict(type="PackSegInputs")]\n'
        'test_dataloader = dict(dataset=dict(_delete_=True, type="FolderDataset", '
        'data_root="nowhere", pipeline=pipeline))\n'
    )
    return path


@pytest.mark.parametrize('count', [7, 6])
def test_classes_of_a_checkpoint_are_those_of_its_model(count, tiny, tmp_path):
    path, config = tmp_path / 'model.pth', folder_config(tmp_path, tiny)
    named = dict(classes=list('abcdefg')[:count], palette=[[i] * 3 for i in range(count)])
    changed(tiny, path, dataset_meta=named)
    if count == 7:
        assert init_inferencer(config, path, device='cpu').model.dataset_meta == named
        return
    with pytest.raises(ValueError, match=r'predicts 7 classes, but its data set has 6 \(a, b, '):
        init_inferencer(config, path, device='cpu')


@pytest.mark.parametrize('meta', [None, dict(classes=list('abcdefg'), palette=[[0, 0, 0]])])
def test_checkpoint_that_names_no_classes_needs_the_data(meta, tiny, tmp_path):
    path, config = tmp_path / 'model.pth', folder_config(tmp_path, tiny)
    changed(tiny, path, dataset_meta=meta)
    with pytest.raises(FileNotFoundError, match='data_root nowhere does not exist'):
        init_inferencer(config, path, device='cpu')
