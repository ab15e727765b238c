"""docs/errors.md quotes errors of other libraries: in their words, with links that fit."""

import re

import pytest
import torch

from mmseg_pacbal import BoundaryAwareLoss, compat, errors, stack
from mmseg_pacbal.stack import installed_versions
from tests.environments import ROOT

ROWS = re.findall(r'^\| (?!what|-).*$', (ROOT / 'docs' / 'errors.md').read_text(), re.MULTILINE)


def test_fixes_that_are_named_exist():
    named = re.findall(r'`(compat|stack)\.(\w+)`', '\n'.join(ROWS))
    assert len(named) == 4
    for module, name in named:
        assert callable(getattr({'compat': compat, 'stack': stack}[module], name))


def test_numbers_are_those_of_the_links():
    links = re.findall(r'\[[a-z ]*#(\d+)\]\(https://github\.com/\S+/(\d+)\)', '\n'.join(ROWS))
    assert len(links) >= 15
    assert all(shown == linked for shown, linked in links)


@pytest.mark.skipif(
    not installed_versions().get('mmsegmentation'), reason='the messages of stock mmsegmentation'
)
@pytest.mark.parametrize('number, name', [(3071, 'boundary'), (3831, 'weights'), (1553, 'label')])
def test_upstream_problem_is_as_the_page_says(number, name):
    from mmseg.models.losses import BoundaryLoss, CrossEntropyLoss

    score, label = torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.long)
    label[0, 0, 0] = 15 if name == 'label' else 255
    losses = dict(
        boundary=BoundaryLoss(),
        weights=CrossEntropyLoss(class_weight=[1.0, 1.0, 1.0]),
        label=CrossEntropyLoss(),
    )
    with pytest.raises((TypeError, IndexError)) as raised:
        losses[name](score, label, weight=None, ignore_index=255)
    [row] = [row for row in ROWS if f'#{number}]' in row]
    assert str(raised.value).removeprefix('BoundaryLoss.') in row
    if name == 'label':
        with pytest.raises(ValueError, match=r'label holds 15, but accepted are classes 0\.\.2'):
            BoundaryAwareLoss()(score, label)
    else:
        weight = [1.0, 1.0, 1.0] if name == 'weights' else None
        assert BoundaryAwareLoss(class_weight=weight)(score, label, ignore_index=255).isfinite()


def test_torchvision_of_another_build_is_as_the_page_says(monkeypatch):
    monkeypatch.setattr(errors, 'version', lambda name: '2.13.0+cpu')
    [row] = [row for row in ROWS if 'operator torchvision::nms does not exist' in row]
    assert f'`{errors.torchvision_for_torch()}`' in row


def test_batch_of_one_image_is_as_the_page_says():
    with pytest.raises(ValueError, match='more than 1 value per channel') as raised:
        torch.nn.BatchNorm2d(4)(torch.zeros(1, 4, 1, 1))
    assert any(str(raised.value) in row for row in ROWS)


@pytest.mark.skipif(not installed_versions().get('mmsegmentation'), reason='needs MMSegmentation')
def test_configs_that_add_to_what_is_not_there_are_as_the_page_says():
    from mmengine.config import Config
    from mmseg.registry import MODELS

    with pytest.raises(KeyError) as missing:
        MODELS.build(dict(loss_decode=dict(loss_weight=0.4)))
    said = str(missing.value).partition(' {')[0]
    assert any(said in row for row in ROWS), said
    with pytest.raises(TypeError) as raised:
        Config._merge_a_into_b(dict(auxiliary_head=dict(a=1)), dict(auxiliary_head=[]))
    said = str(raised.value).partition("{'a': 1}")[2].partition(' You may')[0]
    assert any(said in row for row in ROWS), said
