"""Heads with their loss strip by strip: the same results dict and gradients as without it."""

import copy
import types

import pytest
import torch
from mmseg.models.decode_heads import FCNHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_pacbal.openmmlab.heads import build_chunked_loss_head, build_lean_head
from mmseg_pacbal.stack import installed_versions

VOID = 255
CLASSES = 5
BAL = dict(type='BoundaryAwareLoss', kernel_size=5, downsample=2)
CE = dict(type='CrossEntropyLoss')
CLASS_WEIGHT = [0.5, 2.0, 1.0, 0.0, 3.0]

HEADS = {
    'PACHead': dict(type='LeanHead', head='PACHead'),
    'ASPPHead': dict(type='LeanHead', head='ASPPHead', dilations=(1, 2)),
    'FCNHead': dict(type='LeanHead', head='FCNHead', num_convs=1),
}


def build(cfg: dict, **options) -> torch.nn.Module:
    base = dict(in_channels=8, channels=6, num_classes=CLASSES, dropout_ratio=0.0, loss_decode=BAL)
    torch.manual_seed(0)
    head = MODELS.build({**base, **cfg, **options})
    for parameter in head.conv_seg.parameters():
        torch.nn.init.normal_(parameter)
    return head


def plain(lean_head: torch.nn.Module) -> torch.nn.Module:
    """The same head with the loss of MMSegmentation."""
    head = copy.deepcopy(lean_head)
    head.loss_by_feat = types.MethodType(BaseDecodeHead.loss_by_feat, head)
    return head


def random_label(generator: torch.Generator, size: tuple[int, int] = (33, 41)) -> Tensor:
    small = torch.randint(CLASSES, (2, 6, 7), generator=generator)
    label = small.repeat_interleave(7, 1).repeat_interleave(7, 2)[:, : size[0], : size[1]].clone()
    label[torch.rand(label.shape, generator=generator) < 0.1] = VOID
    return label


def losses_and_gradients(head, label: Tensor, make_samples) -> tuple[dict, list[Tensor]]:
    features = torch.randn(2, 8, 9, 11, generator=torch.Generator().manual_seed(1))
    features.requires_grad_()
    losses = head.loss([features], make_samples(label), {})
    inputs = [features, *head.parameters()]
    total = sum(value.sum() for name, value in losses.items() if name.startswith('loss'))
    return losses, torch.autograd.grad(total, inputs, allow_unused=True)


def assert_equals_plain(head, label: Tensor, make_samples) -> None:
    actual, gradients = losses_and_gradients(head, label, make_samples)
    expected, expected_gradients = losses_and_gradients(plain(head), label, make_samples)
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert actual[name].shape == value.shape, name
        assert actual[name].dtype == value.dtype, name
        assert actual[name].requires_grad == value.requires_grad, name
        torch.testing.assert_close(actual[name], value, rtol=1e-5, atol=1e-9, msg=name)
    largest = max(g.abs().max() for g in expected_gradients if g is not None)
    for gradient, other in zip(gradients, expected_gradients, strict=True):
        if other is not None:
            assert (gradient - other).abs().max() <= 1e-5 * largest


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('name', HEADS)
def test_heads(name, align_corners, generator, make_samples):
    head = build(HEADS[name], align_corners=align_corners)
    label = random_label(generator)
    assert_equals_plain(head, label, make_samples)
    actual = head.loss_by_feat(torch.ones(2, 5, 9, 9), make_samples(label.byte()))
    assert actual['loss_bal'].isfinite()
    label[label == VOID] = 19
    assert_equals_plain(build(HEADS[name], ignore_index=19), label, make_samples)


@pytest.mark.parametrize(
    ('options', 'void'),
    [
        (dict(avg_non_ignore=True, loss_weight=0.4), True),
        (dict(reduction='sum'), True),
        (dict(class_weight=CLASS_WEIGHT), False),  # MMSegmentation fails on void here
        pytest.param(
            dict(class_weight=CLASS_WEIGHT, avg_non_ignore=True),
            False,
            marks=pytest.mark.skipif(
                bool(installed_versions().get('onedl-mmsegmentation')),
                reason='onedl-mmsegmentation 1.4.2 raises IndexError: it masks void pixels twice',
            ),
        ),
        (dict(class_weight=CLASS_WEIGHT, reduction='sum'), True),
    ],
    ids=str,
)
def test_options_of_cross_entropy(options, void, generator, make_samples):
    label = random_label(generator)
    head = build(HEADS['FCNHead'], loss_decode={**CE, **options})
    assert_equals_plain(head, label if void else label.where(label < VOID, 0), make_samples)


@pytest.mark.parametrize(
    'loss_decode',
    [
        [BAL, {**CE, 'loss_weight': 0.4}],
        [BAL, {**BAL, 'sigma': 1.0}, CE],  # two of one name are added up
        [{**CE, 'loss_name': 'loss_a'}, {**CE, 'loss_name': 'loss_b', 'avg_non_ignore': True}],
    ],
    ids=str,
)
def test_lists_of_losses(loss_decode, generator, make_samples):
    head = build(HEADS['PACHead'], loss_decode=loss_decode)
    assert_equals_plain(head, random_label(generator), make_samples)


@pytest.mark.parametrize('loss', [BAL, CE, {**BAL, 'avg_non_ignore': True}], ids=str)
def test_void_only(loss, make_samples):
    head = build(HEADS['PACHead'], loss_decode=loss)
    losses, gradients = losses_and_gradients(head, torch.full((2, 33, 41), VOID), make_samples)
    assert losses[head.loss_decode.loss_name] == 0
    assert all(g.abs().max() == 0 for g in gradients if g is not None)
    expected, _ = losses_and_gradients(plain(head), torch.full((2, 33, 41), VOID), make_samples)
    torch.testing.assert_close(losses['acc_seg'], expected['acc_seg'])


def test_class_of_a_head():
    for made in (build_lean_head, build_chunked_loss_head):
        head = made('FCNHead', in_channels=8, channels=6, num_classes=CLASSES)
        assert isinstance(head, FCNHead)
        assert type(head).__name__ == 'ChunkedLossFCNHead'
    for name in ('LeanHead', 'ChunkedLossHead'):
        assert type(build({**HEADS['FCNHead'], 'type': name})) is type(head)
    assert build(dict(type='PACHead')).loss_by_feat.__func__ is BaseDecodeHead.loss_by_feat
    plain_head = build(dict(type='FCNHead', num_convs=1))
    assert list(build(HEADS['FCNHead']).state_dict()) == list(plain_head.state_dict())


# Exceptions


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (dict(loss_decode={**BAL, 'reduction': 'none'}), "reduction='none'; .* 'mean' or 'sum'"),
        (
            dict(loss_decode={**BAL, 'pixel_loss': dict(type='SoftmaxFocalLoss')}),
            "pixel_loss='SoftmaxFocalLoss'; accepted is None",
        ),
        (dict(loss_decode={**CE, 'use_sigmoid': True}), 'use_sigmoid=True; accepted is False'),
        (dict(loss_decode={**CE, 'use_mask': True}), 'use_mask=True; accepted is False'),
        (
            dict(loss_decode=[BAL, dict(type='DiceLoss')]),
            'DiceLoss; accepted are Bound.* and Cross',
        ),
        (dict(sampler=dict(type='OHEMPixelSampler', min_kept=10)), 'OHEM.*; .* is sampler=None'),
        (dict(loss_decode={**BAL, 'class_weight': [1.0, 2.0]}), '2 entries .* of 5 classes'),
    ],
    ids=str,
)
def test_error_names_what_is_not_lean(options, expected):
    with pytest.raises(ValueError, match=f'^ChunkedLossHead: .*{expected}'):
        build(dict(type='LeanHead', head='PACHead'), **options)
    build(dict(type='PACHead'), **options)  # accepted without


def test_error_names_a_head_with_a_loss_of_its_own():
    with pytest.raises(ValueError, match='ChunkedLossHead: DAHead computes its loss'):
        build(dict(type='LeanHead', head='DAHead'), pam_channels=4)
    with pytest.raises(ValueError, match='name of a registered decode head'):
        build(dict(type='LeanHead', head=FCNHead))


def test_error_names_a_label_that_is_no_class(generator, make_samples):
    label = random_label(generator)
    label[0, 3, 3] = CLASSES
    head = build(HEADS['FCNHead'])
    with pytest.raises(ValueError, match=r'label holds 5, but accepted are classes 0\.\.4'):
        head.loss_by_feat(torch.zeros(2, CLASSES, 9, 11), make_samples(label))
