"""What heads read from a backbone is checked before training, and named as in the config."""

import re

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.openmmlab.feature_checks import check_features, explained_heads
from tests.environments import ROOT
from tests.running import DEMO, failure, small

PAGE = (ROOT / 'docs' / 'backbones.md').read_text()
ROWS = re.findall(r'^\| `\w+=.*', PAGE.partition('## What does not fit')[2], re.MULTILINE)
FCN = dict(type='FCNHead', num_convs=1, channels=4, num_classes=7, in_index=2, in_channels=64)
PLUS = dict(FCN, type='DepthwiseSeparableASPPHead', in_index=3, in_channels=128)
del PLUS['num_convs']


def build(backbone: dict | None = None, auxiliary: dict | None = None, **head: object) -> nn.Module:
    """The demo's network, whose features have 16, 32, 64 and 128 channels, or other heads on it."""
    cfg = Config.fromfile(DEMO)
    cfg.merge_from_dict(
        dict(model=dict(backbone=backbone or {}, data_preprocessor=dict(size=(48, 64))))
    )
    cfg.model.decode_head = dict(head if 'type' in head else cfg.model.decode_head, **head)
    cfg.model.auxiliary_head = auxiliary
    init_default_scope('mmseg')
    with explained_heads(cfg):
        return MODELS.build(cfg.model)


CONCAT = dict(input_transform='resize_concat', in_index=[2, 3])
SELECT = dict(type='UPerHead', channels=4, num_classes=7)
WRONG = [
    (
        dict(in_channels=77),
        '.in_channels is 77, but the feature in_index=3 of the backbone has 128 channels; set '
        'model.decode_head.in_channels=128',
    ),
    (dict(in_index=-2), 'the feature in_index=-2 of the backbone has 64 channels; set model.dec'),
    (
        dict(in_index=4),
        '.in_index must select from the 4 features of the backbone, -4..3, but got 4',
    ),
    (
        dict(CONCAT, in_channels=[64, 64]),
        '.in_channels adds up to 128, but features in_index=[2, 3] of the backbone have [64,128] '
        'channels; set model.decode_head.in_channels=[64,128]',
    ),
    (
        dict(SELECT, in_index=[0, 3], in_channels=[16, 64]),
        '.in_channels is [16, 64], but features in_index=[0, 3] of the backbone have [16,128] ch',
    ),
    (
        dict(PLUS, c1_in_channels=64, c1_channels=4),
        '.c1_in_channels is 64, but the first feature of the backbone has 16 channels; set '
        'model.decode_head.c1_in_channels=16',
    ),
    (
        dict(FCN, in_index=[0, 1], in_channels=[16, 32]),
        'one feature and its number of channels without input_transform, or two lists of one '
        "length with model.decode_head.input_transform='resize_concat'",
    ),
    (dict(in_channels=[64, 128]), 'accepted are one feature and its number of channels without'),
    (dict(CONCAT, in_channels=[64]), "[64], input_transform='resize_concat'; accepted are one"),
    (dict(SELECT, in_index=3, in_channels=128), "transform='multiple_select'; accepted are one"),
    (dict(in_channels=None), 'in_channels=None, input_transform=None; accepted are one feature'),
]


@pytest.mark.parametrize(('head', 'sentence'), WRONG, ids=lambda value: str(value)[:60])
def test_what_does_not_fit_is_named(head, sentence):
    with pytest.raises(ValueError) as error:
        check_features(build(**head))
    assert str(error.value).startswith('model.decode_head')
    assert sentence in str(error.value)


def test_an_auxiliary_head_is_named():
    with pytest.raises(ValueError, match=r'model\.auxiliary_head\.in_channels is 5, .* has 64 ch'):
        check_features(build(auxiliary=dict(FCN, in_channels=5)))
    with pytest.raises(ValueError, match=r'model\.auxiliary_head has in_index=\[2\], in_channels='):
        build(auxiliary=dict(FCN, in_index=[2]))


@pytest.mark.parametrize(
    'head',
    [{}, dict(CONCAT, in_channels=[64, 128]), dict(PLUS, c1_in_channels=0, c1_channels=0)],
    ids=str,
)
def test_what_fits_is_left_as_it_was(head):
    model = build(backbone=dict(in_channels=4), **head).train()  # four bands
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    check_features(model)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_other_assertions_pass():
    with pytest.raises(AssertionError, match='another'), explained_heads(Config.fromfile(DEMO)):
        raise AssertionError('another')


# Settings of the demo's head, and what the page says of them.
DOCUMENTED = [re.match(r'\| `(.*?)`.*? \| `(.*?)` \|', row).groups() for row in ROWS]


@pytest.mark.parametrize('how', ['--check', '--amp'])
@pytest.mark.parametrize(('setting', 'sentence'), DOCUMENTED, ids=lambda text: text[:20])
def test_found_before_training_as_the_page_says(
    setting, sentence, how, demo_data, tmp_path, capsys
):
    options = small(demo_data, f'model.decode_head.{setting}')
    work = tmp_path / 'work'
    out, ending = failure(capsys, 'train', DEMO, '--work-dir', work, how, *options)
    assert sentence in (*out.splitlines(), ending)
    assert not [*work.glob('*.py')]  # a training writes its config there


def test_errors_of_mmsegmentation_are_as_the_page_says(make_samples):
    label = torch.full((2, 48, 64), 6)
    features = (torch.zeros(2, 128, 6, 8),) * 4  # a tuple, as of a ResNet
    raised = []
    for wrong in (dict(in_channels=77), dict(in_index=4), dict(num_classes=6)):
        head = MODELS.build(dict(FCN, in_channels=128, in_index=3) | wrong)
        with pytest.raises((RuntimeError, IndexError)) as error:
            head.loss(features, make_samples(label), {})
        raised.append(str(error.value))
    assert [row for row, text in zip((0, 2, 3), raised, strict=True) if text not in ROWS[row]] == []
    with pytest.raises(AssertionError, match=r'^$'):
        MODELS.build(dict(FCN, in_index=[0, 1, 2, 3], in_channels=[1, 2, 3, 4]))
    more = MODELS.build(dict(FCN, in_channels=128, num_classes=8))
    assert more.loss(features, make_samples(label), {})['loss_ce'].isfinite()
    with pytest.raises(ValueError, match=r'label holds 6, but accepted are classes 0\.\.5'):
        BoundaryAwareLoss()(torch.zeros(2, 6, 48, 64), label)
