"""Checkpoints that carry code, are cut off, or are of another model, given to every tool."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from mmseg.registry import MODELS
from PIL import Image
from torch import nn

from mmseg_pacbal import configs
from mmseg_pacbal.errors import one_sentence
from mmseg_pacbal.openmmlab.checkpoint_checks import check_checkpoint, check_initial_weights
from mmseg_pacbal.openmmlab.engine import changed_settings
from tests.running import DEMO, load_tool, mistake, small

WAYS = ['load_from', 'pretrained', 'resume', 'resume_chosen', 'test', 'predict', 'export_onnx']
# The slow ones read a checkpoint by the same function as others.
SLOW = ('pretrained', 'resume_chosen')
# Those that may take a part of the weights do not say that a checkpoint is of another config.
WHOLE_MODEL = [way for way in WAYS if way not in ('load_from', 'pretrained')]


def once_in_a_while(way: str) -> object:
    return pytest.param(way, marks=pytest.mark.slow) if way in SLOW else way


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
def give(capsys, data, tmp_path) -> Callable[..., str]:
    """Give a checkpoint to a tool in one of the WAYS; the sentence the tool ends with."""
    work = tmp_path / 'work'

    def give(way: str, path: Path, channels: int = 64) -> str:
        options = small(data, f'model.decode_head.channels={channels}')
        if way == 'export_onnx':
            cfg = configs.load_config(str(DEMO), {'model.decode_head.channels': channels})
            return export(path, cfg)
        if way == 'predict':
            Image.new('RGB', (64, 64)).save(tmp_path / 'image.png')
            return mistake(
                capsys, way, DEMO, path, tmp_path / 'image.png', '--out', tmp_path, *options
            )
        if way == 'test':
            return mistake(capsys, way, DEMO, path, '--work-dir', work, *options)
        if way == 'resume':
            work.mkdir()
            path.rename(work / 'iter_2.pth')
        else:
            name = 'model.pretrained' if way == 'pretrained' else 'load_from'
            options.append(f'{name}={path}')
        resume = ['--resume'] if way.startswith('resume') else []
        return mistake(capsys, 'train', DEMO, '--work-dir', work, *resume, *options)

    return give


def export(path: Path, cfg: Config) -> str:
    """What the tool says, where onnx is not installed, too."""
    load_model = load_tool('export_onnx')['load_model']
    with pytest.raises(Exception) as error:
        load_model(cfg, str(path))
    return one_sentence(error.value)


class Payload:
    """What a pickle may carry: a call, here of a harmless function that leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def with_payload(checkpoint: dict, path: Path, trace: Path) -> Path:
    checkpoint = dict(checkpoint, meta=dict(checkpoint['meta'], payload=Payload(trace)))
    torch.save(checkpoint, path, pickle_module=pickle)
    return path


@pytest.mark.parametrize('way', [once_in_a_while(way) for way in WAYS])
def test_payload_never_runs(way, checkpoint, give, tmp_path):
    path = with_payload(checkpoint, tmp_path / 'hostile.pth', tmp_path / 'executed')
    sentence = give(way, path)
    name = 'iter_2.pth' if way == 'resume' else 'hostile.pth'
    assert f'{name} was not loaded, as it carries' in sentence
    assert 'could run code' in sentence
    assert not (tmp_path / 'executed').exists()


def test_payload_is_one(checkpoint, tmp_path):
    """Else the test above would prove nothing."""
    path = with_payload(checkpoint, tmp_path / 'hostile.pth', tmp_path / 'executed')
    torch.load(path, weights_only=False)
    assert (tmp_path / 'executed').exists()


def test_config_inside_never_runs(checkpoint, tmp_path):
    """mmengine's Runner.resume would execute it."""
    code = f'open({str(tmp_path / "executed")!r}, "w")'
    torch.save(dict(checkpoint, meta=dict(checkpoint['meta'], config=code)), tmp_path / 'a.pth')
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'), logger='silent')
    assert loaded['meta'] == checkpoint['meta']


@pytest.mark.parametrize(
    'cfg', ['a = ' + '[' * 9000 + ']' * 9000, 'a = ' + '-' * 99999 + '1', '\0']
)
def test_absurd_config_inside_is_passed_over(cfg):
    assert changed_settings(cfg, 'a = 1') == []


@pytest.mark.slow
@pytest.mark.parametrize('way', WAYS)
def test_cut_off(way, checkpoint, give, tmp_path):
    path = tmp_path / 'cut.pth'
    torch.save(checkpoint, path)
    path.write_bytes(path.read_bytes()[:-1000])
    sentence = give(way, path)
    if way == 'resume':
        assert sentence.startswith(
            f'no checkpoint in {tmp_path}/work is intact: {tmp_path}/work/iter'
        )
    else:
        assert f'{path} could not be read as a checkpoint' in sentence
        assert 'truncated' in sentence


@pytest.mark.slow
@pytest.mark.parametrize('way', WHOLE_MODEL)
def test_other_model(way, checkpoint, give, tmp_path):
    path = tmp_path / 'iter_2.pth'
    torch.save(checkpoint, path)
    sentence = give(way, path, channels=32)
    assert ': decode_head.conv1x1.bn.bias is (64,) instead of (32,); ' in sentence
    assert '; and 13 more; give the config that it was trained with' in sentence


@pytest.mark.parametrize('content', [b'', b'<html>not found</html>', pickle.dumps([1, 2])])
def test_no_checkpoint_at_all(content, model, tmp_path):
    path = tmp_path / 'other.pth'
    path.write_bytes(content)
    for check in (check_checkpoint, check_initial_weights):
        with pytest.raises(pickle.UnpicklingError, match=f'{path} could not be read as a checkp'):
            check(model, path)


@pytest.mark.parametrize(
    'content', [[1, 2], {1: torch.zeros(2)}, {'state_dict': 3}, {'state_dict': {2: torch.zeros(2)}}]
)
def test_no_weights(content, model, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(content, path)
    for check in (check_checkpoint, check_initial_weights):
        with pytest.raises(ValueError, match=f'checkpoint {path} holds no weights'):
            check(model, path)


def test_weights_that_are_no_tensors(model, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(model.state_dict(), **{'decode_head.conv_seg.bias': 'text'}), path)
    with pytest.raises(ValueError, match=r'conv_seg.bias is None instead of \(7,\); give the'):
        check_checkpoint(model, path)


def test_weights_only_cannot_be_resumed(checkpoint, model, tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=checkpoint['state_dict']), path)
    check_checkpoint(model, path)
    with pytest.raises(ValueError, match='has no meta, optimizer, message_hub, so training'):
        check_checkpoint(model, path, resume=True)


# --- weights to start from: a part that fits is enough ---


def test_nothing_fits(model, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'fc.weight': torch.zeros(2, 3)}), path)
    with pytest.raises(ValueError, match=f'no weight in {path} fits load_from: .* is missing; '):
        check_initial_weights(model, path)


@pytest.mark.parametrize('init', ['pretrained', 'init_cfg', 'prefix'])
def test_pretrained_backbone(init, model, tmp_path):
    path = tmp_path / 'backbone.pth'
    prefix = dict(prefix='backbone') if init == 'prefix' else {}
    backbone = dict(type='Pretrained', checkpoint=str(path), **prefix)
    given = (
        {'model.pretrained': str(path)}
        if init == 'pretrained'
        else {'model.backbone.init_cfg': backbone}
    )
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


def test_head_for_other_classes_may_differ(model, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(model.state_dict(), **{'decode_head.conv_seg.weight': torch.zeros(2)}), path)
    check_initial_weights(model, path)


def test_remote_weights_are_not_fetched(model):
    check_initial_weights(model, 'https://nowhere.invalid/a.pth')
