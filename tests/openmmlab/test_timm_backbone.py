"""timm's models as backbones: what follows from each, and the sentence on those that do not fit.

Run where timm is installed, which needs torchvision; without it all but one are skipped.
"""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mmseg_pacbal import configs
from mmseg_pacbal.openmmlab.completion import infer_settings
from tests.openmmlab.datasets.folder_data import write_folder
from tests.running import ROOT, call_tool, failure
from tests.test_configs import batch

CONFIG = ROOT / 'configs' / 'pac_bal_timm.py'
needs_timm = pytest.mark.skipif(
    importlib.util.find_spec('timm') is None, reason='timm is not installed'
)


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp('data'))


def completed(data: Path, model_name: str, **options: object) -> Config:
    options = {f'model.{key.replace("__", ".")}': value for key, value in options.items()}
    options |= {'data_root': str(data), 'model.backbone.model_name': model_name}
    cfg = configs.load_config(str(CONFIG), options)
    infer_settings(cfg)
    return cfg


def feature(cfg: Config, size: tuple[int, int]) -> torch.Tensor:
    """What the decode head is given, of one image."""
    init_default_scope('mmseg')
    torch.manual_seed(0)
    backbone = MODELS.build(cfg.model.backbone).eval()
    with torch.no_grad():
        return backbone(torch.zeros(1, 3, *size))[cfg.model.decode_head.in_index]


# Model, its channels, and out_indices where the model has no output_stride to set.
MODELS_THAT_FIT = [
    ('resnet18', 512, None),
    ('resnet50', 2048, None),
    ('efficientnet_b0', 320, None),
    ('tf_efficientnet_lite0', 320, None),
    ('mobilenetv3_large_100', 960, None),
    ('convnext_atto', 320, None),
    ('densenet121', 1024, (0, 1, 2, 3)),
    ('pvt_v2_b0', 160, (0, 1, 2)),
]


@needs_timm
@pytest.mark.parametrize(('name', 'channels', 'out_indices'), MODELS_THAT_FIT)
def test_channels_and_stride_follow(name, channels, out_indices, data, capsys):
    cfg = completed(data, name)
    out = capsys.readouterr().out
    assert cfg.model.decode_head.in_channels == channels
    assert f'config: model.decode_head.in_channels = {channels}\n' in out
    assert cfg.model.backbone.get('out_indices') == out_indices
    assert cfg.model.backbone.output_stride == (16 if out_indices is None else None)
    assert ('config: model.backbone.output_stride = None\n' in out) == (out_indices is not None)
    # 97 is not a multiple of 16: some models round up, some down.
    found = feature(cfg, (96, 97)).shape
    assert found[:3] == (1, channels, 6)
    assert found[3] in (6, 7)


@needs_timm
@pytest.mark.parametrize(('stride', 'side'), [(8, 12), (32, 3)])
def test_another_stride(stride, side, data):
    cfg = completed(data, 'resnet18', backbone__output_stride=stride)
    assert feature(cfg, (96, 96)).shape == (1, 512, side, side)


@needs_timm
def test_stride_that_only_an_earlier_feature_has(data):
    cfg = completed(data, 'densenet121', backbone__output_stride=8)
    assert cfg.model.backbone.out_indices == (0, 1, 2)
    assert feature(cfg, (96, 96)).shape == (1, cfg.model.decode_head.in_channels, 12, 12)


@needs_timm
def test_features_as_they_are(data):
    cfg = completed(data, 'resnet18', backbone__output_stride=None, decode_head__in_index=2)
    assert cfg.model.decode_head.in_channels == 128
    assert feature(cfg, (96, 96)).shape == (1, 128, 12, 12)


@needs_timm
def test_options_of_timm_are_handed_on(data):
    """A ViT takes images of any size with these two, which its refusal names."""
    options = dict(backbone__dynamic_img_size=True, backbone__dynamic_img_pad=True)
    cfg = completed(data, 'vit_tiny_patch16_224', **options)
    assert cfg.model.decode_head.in_channels == 192
    assert feature(cfg, (96, 97)).shape == (1, 192, 6, 7)


@needs_timm
def test_auxiliary_head_and_several_features(data):
    cfg = configs.load_config(str(CONFIG), {'data_root': str(data)})
    cfg.model.auxiliary_head = dict(type='FCNHead', in_index=-2)
    cfg.model.decode_head.in_index = [1, 3]
    infer_settings(cfg)
    assert cfg.model.auxiliary_head.in_channels == 1024
    assert cfg.model.decode_head.in_channels == [256, 1024]


@needs_timm
def test_completing_twice_changes_nothing(data, capsys):
    cfg = completed(data, 'densenet121')
    before = cfg.to_dict()
    capsys.readouterr()
    infer_settings(cfg)
    assert cfg.to_dict() == before
    assert capsys.readouterr().out == ''


@needs_timm
def test_pretrained_weights_bring_their_normalisation(data):
    """Nothing is downloaded to find it out."""
    plain = completed(data, 'tf_efficientnet_lite0').model.data_preprocessor
    assert plain['std'] == [58.395, 57.12, 57.375]
    own = completed(data, 'tf_efficientnet_lite0', backbone__pretrained=True)
    assert own.model.data_preprocessor['mean'] == [127.5, 127.5, 127.5]
    assert own.model.data_preprocessor['std'] == [127.5, 127.5, 127.5]


@needs_timm
@pytest.mark.parametrize('name', ['resnet18', 'mobilenetv3_small_050', 'pvt_v2_b0'])
def test_trains_a_step(name, data):
    cfg = completed(data, name)
    cfg.model.decode_head.norm_cfg.type = 'BN'
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    losses = model.loss(*batch(3))
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


# Options, and the sentence on them.
REFUSED = [
    (
        dict(model_name='swin_tiny_patch4_window7_224'),
        "model.backbone.model_name='swin_tiny_patch4_window7_224' does not take images of any size "
        "(Input height (97) doesn't match model (224)); choose one that does, such as resnet50, ",
    ),
    (
        dict(model_name='vit_small_patch16_224'),
        "model.backbone.model_name='vit_small_patch16_224' does not take images of any size (Input",
    ),
    (
        dict(model_name='hrnet_w18'),
        "model.backbone.model_name='hrnet_w18' does not take images of any size (",
    ),
    (
        dict(model_name='inception_v3'),
        "model.backbone.model_name='inception_v3' turns 161x97 pixels into a feature of shape ",
    ),
    (
        dict(model_name='densenet121', output_stride=12),
        "model.backbone.model_name='densenet121' cannot be built with output_stride=12, and its own"
        ' features have strides 2, 4, 8, 16, 32; give one of these as model.backbone.output_stride',
    ),
    (
        dict(model_name='resnet5O'),
        "timm has no model.backbone.model_name='resnet5O'; did you mean resnet50",
    ),
    (
        dict(model_name='resnet18', no_such=1),
        "timm cannot build a backbone from model.backbone.model_name='resnet18' (TypeError: ",
    ),
]


@needs_timm
@pytest.mark.parametrize(('options', 'sentence'), REFUSED, ids=lambda x: str(x)[:40])
def test_what_does_not_fit_is_refused(options, sentence, data):
    options = {f'model.backbone.{key}': value for key, value in options.items()}
    cfg = configs.load_config(str(CONFIG), {'data_root': str(data), **options})
    with pytest.raises(ValueError) as error:
        infer_settings(cfg)
    assert str(error.value).startswith(sentence)
    assert '\n' not in str(error.value)


@needs_timm
def test_feature_that_is_not_there(data):
    with pytest.raises(ValueError, match=r'decode_head\.in_index must .* 5 features .* but got 5$'):
        completed(data, 'resnet18', decode_head__in_index=5)


@needs_timm
@pytest.mark.slow
def test_tools_train_and_predict(data, tmp_path, capsys):
    options = ['--cfg-options', f'data_root={data}', 'model.backbone.model_name=resnet18']
    small = ['crop_size=32,32', 'max_iters=1', 'train_dataloader.batch_size=2']
    small += ['model.decode_head.channels=8', 'train_dataloader.num_workers=0']
    small += ['train_dataloader.persistent_workers=False']
    work = tmp_path / 'work'
    call_tool('train', CONFIG, '--work-dir', work, *options, *small)
    assert 'config: model.decode_head.in_channels = 512\n' in capsys.readouterr().out
    saved, photo = work / 'pac_bal_timm.py', data / 'images' / 'val' / 'c.jpg'
    call_tool('predict', saved, work / 'iter_1.pth', photo, '--out', tmp_path / 'out')
    assert (tmp_path / 'out' / 'masks' / 'c.png').is_file()


def test_without_timm(data, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'timm', None)
    sentence = failure(capsys, 'train', CONFIG, '--cfg-options', f'data_root={data}')[1]
    assert sentence.startswith("model.backbone.type='TIMMBackbone' needs timm, and a torchvision")
    assert sentence.endswith('pip install timm')
