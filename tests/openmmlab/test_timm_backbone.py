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

from mmseg_pacbal import configs, errors
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


# Model, stride asked for, other options, channels; out_indices where it has no stride to set, and
# the height and width of the feature of an image of 96 x 97 pixels: some models round up.
FITTING = [
    ('resnet18', 16, {}, 512, None, (6, 7)),
    ('resnet18', 8, {}, 512, None, (12, 13)),
    ('resnet18', 32, {}, 512, None, (3, 4)),
    ('resnet18', None, dict(decode_head__in_index=2), 128, None, (12, 13)),
    ('resnet50', 16, {}, 2048, None, (6, 7)),
    ('efficientnet_b0', 16, {}, 320, None, (6, 7)),
    ('tf_efficientnet_lite0', 16, {}, 320, None, (6, 7)),
    ('mobilenetv3_large_100', 16, {}, 960, None, (6, 7)),
    ('convnext_atto', 16, {}, 320, None, (6, 6)),
    ('densenet121', 16, {}, 1024, (0, 1, 2, 3), (6, 6)),
    ('densenet121', 8, {}, 512, (0, 1, 2), (12, 12)),
    ('pvt_v2_b0', 16, {}, 160, (0, 1, 2), (6, 7)),
    (
        'vit_tiny_patch16_224',
        16,
        dict(backbone__dynamic_img_size=True, backbone__dynamic_img_pad=True),
        192,
        (9, 10, 11),
        (6, 7),
    ),
]


@needs_timm
@pytest.mark.parametrize(('name', 'stride', 'options', 'channels', 'out_indices', 'size'), FITTING)
def test_channels_and_stride_follow(
    name, stride, options, channels, out_indices, size, data, capsys
):
    cfg = completed(data, name, backbone__output_stride=stride, **options)
    assert f'config: model.decode_head.in_channels = {channels}\n' in capsys.readouterr().out
    assert cfg.model.decode_head.in_channels == channels
    assert cfg.model.backbone.get('out_indices') == out_indices
    assert cfg.model.backbone.output_stride == (stride if out_indices is None else None)
    before = cfg.to_dict()
    infer_settings(cfg)
    assert cfg.to_dict() == before
    assert capsys.readouterr().out == ''
    init_default_scope('mmseg')
    with torch.no_grad():
        features = MODELS.build(cfg.model.backbone).eval()(torch.zeros(1, 3, 96, 97))
    assert features[cfg.model.decode_head.in_index].shape == (1, channels, *size)


@needs_timm
def test_auxiliary_head_and_several_features(data):
    cfg = configs.load_config(str(CONFIG), {'data_root': str(data)})
    cfg.model.auxiliary_head = dict(type='FCNHead', in_index=-2)
    cfg.model.decode_head.in_index = [1, 3]
    infer_settings(cfg)
    assert cfg.model.auxiliary_head.in_channels == 1024
    assert cfg.model.decode_head.in_channels == [256, 1024]


@needs_timm
def test_pretrained_weights_bring_their_normalisation(data):
    """Nothing is downloaded to find it out."""
    plain = completed(data, 'tf_efficientnet_lite0').model.data_preprocessor
    assert plain['std'] == [58.395, 57.12, 57.375]
    own = completed(data, 'tf_efficientnet_lite0', backbone__pretrained=True)
    assert own.model.data_preprocessor['mean'] == [127.5, 127.5, 127.5]
    assert own.model.data_preprocessor['std'] == [127.5, 127.5, 127.5]


@needs_timm
@pytest.mark.parametrize('name', ['mobilenetv3_small_050', 'pvt_v2_b0'])
def test_trains_a_step(name, data):
    cfg = completed(data, name)
    cfg.model.decode_head.norm_cfg.type = 'BN'
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    losses = model.loss(*batch(3))
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@needs_timm
@pytest.mark.parametrize(
    ('name', 'options', 'sentence'),
    [
        (
            'swin_tiny_patch4_window7_224',
            {},
            "does not take images of any size (Input height (97) doesn't match model (224)); for a "
            'ViT set model.backbone.dynamic_img_size=True model.backbone.dynamic_img_pad=True, or ',
        ),
        ('vit_small_patch16_224', {}, 'does not take images of any size (Input'),
        ('hrnet_w18', {}, 'does not take images of any size ('),
        ('inception_v3', {}, 'turns 161x97 pixels into a feature of shape '),
        (
            'densenet121',
            dict(backbone__output_stride=12),
            'cannot be built with output_stride=12, and its own features have strides 2, 4, 8, 16, '
            '32; give one of these as model.backbone.output_stride, or choose another, such as res',
        ),
        ('resnet18', dict(backbone__no_such=1), 'cannot be built (TypeError: '),
        ('resnet5O', {}, '; did you mean resnet50'),
        ('resnet18', dict(decode_head__in_index=5), '5 features of the backbone, -5..4, but got 5'),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_does_not_fit_is_refused(name, options, sentence, data):
    with pytest.raises(ValueError) as error:
        completed(data, name, **options)
    assert sentence in str(error.value)
    assert f'{name!r}' in str(error.value) or 'in_index' in str(error.value)
    assert '\n' not in str(error.value)


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


def test_with_a_torchvision_of_another_build(data, monkeypatch, tmp_path, capsys):
    said = 'operator torchvision::nms does not exist'
    (tmp_path / 'timm.py').write_text(f'raise RuntimeError({said!r})')
    monkeypatch.delitem(sys.modules, 'timm', raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(errors, 'version', lambda name: '2.13.0+cpu')
    sentence = failure(capsys, 'train', CONFIG, '--cfg-options', f'data_root={data}')[1]
    assert sentence.endswith(
        f'({said}); pip uninstall -y torchvision && pip install "torch==2.13.0" torchvision '
        '--index-url https://download.pytorch.org/whl/cpu && pip install timm'
    )
