"""Checkpoints absent, with code, cut off, diverged or of another model, for every tool."""

import functools
import http.server
import pickle
import re
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from mmseg.registry import MODELS
from PIL import Image
from torch import nn

from mmseg_pacbal import configs
from mmseg_pacbal.apps import export_onnx
from mmseg_pacbal.errors import one_sentence
from mmseg_pacbal.openmmlab.checkpoint_checks import check_checkpoint, check_initial_weights
from tests.running import DEMO, mistake

TRAIN = ('load_from', 'pretrained', 'resume', 'resume_chosen')
WAYS = (*TRAIN, 'test', 'predict', 'visualize', 'analyze_errors', 'export_onnx')
# What is wrong, what is said, and the ways that take it, since they need a part of the weights.
KINDS = {
    'missing': ('there is no such file|does not exist; give', ('resume',)),
    'payload': ('which could run code; use a checkpoint with weights only', ()),
    'cut': ('could not be read as a checkpoint|^no checkpoint in .*/work is intact: .*/iter', ()),
    'other': (r'conv_seg\.bias is \(3,\) instead of \(7,\); give', TRAIN[:2]),
    'diverged': ('numbers that are not finite: decode_head.conv_seg.weight; the', TRAIN[1:2]),
}
# What could run code is refused in every way; of the others these ways stand for all.
FAST = ('load_from', 'resume_chosen', 'test')
CASES = [
    pytest.param(kind, way, marks=[pytest.mark.slow] * (kind != 'payload' and way not in FAST))
    for kind, (_, taken) in KINDS.items()
    for way in WAYS
    if way not in taken
]


@pytest.fixture(scope='module')
def model() -> nn.Module:
    init_default_scope('mmseg')
    return MODELS.build(configs.load_config(str(DEMO)).model)


@pytest.fixture(scope='module')
def checkpoint(model) -> dict:
    """A checkpoint of the demo's model."""
    parts = dict(meta=dict(iter=2, epoch=0, seed=0), message_hub={}, optimizer={})
    return dict(parts, state_dict=model.state_dict())


@pytest.fixture
def give(tiny, capsys, tmp_path) -> Callable[[str, Path], str]:
    """Give a checkpoint to a tool in one of the WAYS; the sentence the tool ends with."""
    image, work, out = tmp_path / 'a.png', tmp_path / 'work', tmp_path / 'out'
    Image.new('RGB', (8, 8)).save(image)

    def give(way: str, path: Path) -> str:
        if way == 'export_onnx':  # where onnx is not installed, too
            with pytest.raises(Exception) as error:
                export_onnx.load_model(configs.load_config(str(tiny[0])), str(path))
            return one_sentence(error.value)
        if way == 'resume':
            work.mkdir()
            path.rename(work / 'iter_2.pth')
        setting = 'model.pretrained' if way == 'pretrained' else 'load_from'
        given = [] if way == 'resume' else ['--cfg-options', f'{setting}={path}']
        commands = dict(
            predict=('predict', tiny[0], path, image, '--out', out),
            visualize=('visualize', tiny[0], path, '--figure', 'loss', '--out', out / 'f.png'),
            analyze_errors=('analyze_errors', tiny[0], path, '--out', out, '--work-dir', work),
            test=('test', tiny[0], path, '--work-dir', work),
        )
        resume = ['--resume'] if way.startswith('resume') else []
        train = ('train', tiny[0], '--work-dir', work, *resume, *given)
        sentence = mistake(capsys, *commands.get(way, train))
        assert not out.exists()
        return sentence

    return give


class Payload:
    """What a pickle may carry: a call, here of a harmless function that leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def write(kind: str, checkpoint: dict, path: Path, trace: Path) -> None:
    weights, meta = dict(checkpoint['state_dict']), dict(checkpoint['meta'])
    if kind == 'payload':
        meta['payload'] = Payload(trace)
    elif kind == 'other':
        weights['decode_head.conv_seg.bias'] = torch.zeros(3)
    elif kind == 'diverged':
        weights['decode_head.conv_seg.weight'] = torch.full((7, 192, 1, 1), np.nan)
    if kind != 'missing':
        content = dict(checkpoint, state_dict=weights, meta=meta)
        torch.save(content, path, pickle_module=pickle)
    if kind == 'cut':
        path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(('kind', 'way'), CASES)
def test_it_is_refused(kind, way, checkpoint, give, tmp_path):
    path, trace = tmp_path / 'hostile.pth', tmp_path / 'executed'
    write(kind, checkpoint, path, trace)
    sentence = give(way, path)
    assert re.search(KINDS[kind][0], sentence)
    assert ('iter_2.pth' if way == 'resume' else 'hostile.pth') in sentence
    assert not trace.exists()


def test_url_is_read_as_a_file_is(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
    trace = tmp_path / 'executed'
    torch.save(dict(a=torch.ones(2)), tmp_path / 'good.pth')
    write('payload', checkpoint, tmp_path / 'hostile.pth', trace)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f'http://127.0.0.1:{server.server_port}'
        load = functools.partial(CheckpointLoader.load_checkpoint, map_location='cpu')
        assert load(f'{url}/good.pth')['a'].tolist() == [1, 1]
        with pytest.raises(pickle.UnpicklingError, match=r'was not loaded, as it .*run code'):
            load(f'{url}/hostile.pth')
        server.shutdown()
    assert not trace.exists()
    torch.load(tmp_path / 'hostile.pth', weights_only=False)
    assert trace.exists()  # else none of these tests would prove anything


def test_config_inside_never_runs(checkpoint, tmp_path):
    """mmengine's Runner.resume would execute it."""
    code = f'open({str(tmp_path / "executed")!r}, "w")'
    torch.save(dict(checkpoint, meta=dict(checkpoint['meta'], config=code)), tmp_path / 'a.pth')
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'), logger='silent')
    assert loaded['meta'] == checkpoint['meta']


# --- numbers that are none ---


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


def test_scores_that_are_not_finite_are_refused(tiny, give, tmp_path):
    """Finite weights may still give sums that overflow."""
    path = tmp_path / 'large.pth'
    weights = torch.load(tiny[1], weights_only=True)['state_dict']
    weights['decode_head.conv_seg.weight'].fill_(3e38)
    torch.save(dict(state_dict=weights), path)
    sentence = give('predict', path)
    assert sentence.startswith(f'the logits of {tmp_path}/a.png are not finite numbers, so its')
    assert 'are not finite numbers' in give('visualize', path)


# --- what is said of a file ---

UNREADABLE, NO_WEIGHTS = '{} could not be read as a checkp', 'checkpoint {} holds no weights'


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        (b'', UNREADABLE),
        (b'<html>not found</html>', UNREADABLE),
        (pickle.dumps([1, 2]), UNREADABLE),
        ([1, 2], NO_WEIGHTS),
        ({1: torch.zeros(2)}, NO_WEIGHTS),
        ({'state_dict': 3}, NO_WEIGHTS),
        ({'state_dict': {2: torch.zeros(2)}}, NO_WEIGHTS),
    ],
)
def test_no_checkpoint_or_no_weights(content, said, model, tmp_path):
    path = tmp_path / 'other.pth'
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    kind = pickle.UnpicklingError if said is UNREADABLE else ValueError
    for check in (check_checkpoint, check_initial_weights):
        with pytest.raises(kind, match=said.format(path)):
            check(model, path)


def test_a_part_is_not_enough_for_a_test_but_to_start_from(checkpoint, model, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict=checkpoint['state_dict']), path)
    check_checkpoint(model, path)
    with pytest.raises(ValueError, match='has no meta, optimizer, message_hub, so training'):
        check_checkpoint(model, path, resume=True)
    torch.save(dict(model.state_dict(), **{'decode_head.conv_seg.bias': 'text'}), path)
    with pytest.raises(ValueError, match=r'conv_seg.bias is None instead of \(7,\); give the'):
        check_checkpoint(model, path)
    torch.save(dict(model.state_dict(), **{'decode_head.conv_seg.weight': torch.zeros(2)}), path)
    check_initial_weights(model, path)  # a head for other classes may differ
    torch.save(dict(state_dict={'fc.weight': torch.zeros(2, 3)}), path)
    with pytest.raises(ValueError, match=f'no weight in {path} fits load_from: .* is missing; '):
        check_initial_weights(model, path)
    check_initial_weights(model, 'https://nowhere.invalid/a.pth')  # not fetched


@pytest.mark.parametrize('init', ['pretrained', 'init_cfg', 'prefix'])
def test_pretrained_backbone(init, model, tmp_path):
    path = tmp_path / 'backbone.pth'
    prefix = dict(prefix='backbone') if init == 'prefix' else {}
    backbone = dict(type='Pretrained', checkpoint=str(path), **prefix)
    given = {'model.backbone.init_cfg': backbone}
    if init == 'pretrained':
        given = {'model.pretrained': str(path)}
    started = MODELS.build(configs.load_config(str(DEMO), given).model)
    weights = model.state_dict() if prefix else model.backbone.state_dict()
    torch.save(weights, path)
    check_initial_weights(started, None)
    torch.save({f'other.{name}': value for name, value in weights.items()}, path)
    with pytest.raises(ValueError, match=f'no weight in {path} fits backbone: '):
        check_initial_weights(started, None)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f'backbone starts from {path}, but there is no'):
        check_initial_weights(started, None)


def test_weights_that_a_backbone_converts_are_looked_for_alone(tmp_path):
    """As by Swin and MiT of MMSegmentation, whose names in the file are others."""

    class Converting(BaseModule):
        def init_weights(self) -> None:
            raise AssertionError('not loaded here')

    path = tmp_path / 'other_names.pth'
    started = Converting(init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    with pytest.raises(
        FileNotFoundError, match=f'^the model starts from {path}, but there is no such file'
    ):
        check_initial_weights(started, None)
    path.write_text('not read')
    check_initial_weights(started, None)
