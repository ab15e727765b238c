"""What is drawn is what the model and its loss compute."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from mmseg.registry import MODELS
from torch import nn

from mmseg_pacbal import BoundaryAwareLoss, boundary_weight_map
from mmseg_pacbal.openmmlab.inspection import (
    boundary_loss,
    inspect_sample,
    last_head,
    picture_of,
    pixel_loss,
    pixel_loss_name,
    spaced_indices,
    weigh_sample,
    weight_name,
)
from mmseg_pacbal.ops import boundary_edges


def head_with(*losses: dict, **kwargs) -> SimpleNamespace:
    built = nn.ModuleList(MODELS.build(loss) for loss in losses)
    return SimpleNamespace(loss_decode=built if len(built) > 1 else built[0], ignore_index=255)


@pytest.fixture
def logits_and_label(generator):
    logits = torch.randn(1, 4, 12, 15, generator=generator)
    label = torch.randint(0, 4, (1, 12, 15), generator=generator)
    label[:, 2:4] = 255
    return logits, label


def test_inspected_sample_is_what_the_model_computes(model, dataset):
    row = inspect_sample(model, dataset, 1, own_loss=True)
    sample = dataset[1]
    with torch.no_grad():
        result = model.test_step(pseudo_collate([sample]))[0]
    logits, label = result.seg_logits.data[None], sample['data_samples'].gt_sem_seg.data.long()
    args = dict(kernel_size=15, downsample=2)  # the demo's
    weight = boundary_weight_map(label, **args)
    weight = weight / weight[label != 255].mean()
    plain = F.cross_entropy(logits, label, ignore_index=255, reduction='none')

    assert row.name == '2011_000002'
    assert np.array_equal(row.image[..., ::-1], sample['inputs'].permute(1, 2, 0).numpy())
    assert np.array_equal(row.label, label[0].numpy())
    assert np.array_equal(row.prediction, logits[0].argmax(0).numpy())
    assert len(np.unique(row.prediction)) > 2
    np.testing.assert_allclose(row.weight, weight[0].numpy(), rtol=1e-5)
    np.testing.assert_allclose(row.loss, (weight * plain)[0].numpy(), rtol=1e-5, atol=1e-7)
    assert (row.loss[row.label == 255] == 0).all()
    assert (row.label == 255).any()

    data = model.data_preprocessor(pseudo_collate([sample]), training=False)
    with torch.no_grad():
        losses = model.loss(data['inputs'], data['data_samples'])
    assert row.loss.mean() == pytest.approx(losses['decode.loss_bal'].item(), rel=1e-5)
    row = inspect_sample(model, dataset, 1)
    np.testing.assert_allclose(row.loss, plain[0].numpy(), rtol=1e-6)


def test_weighed_sample_is_the_label_s_weights(model, dataset):
    model.decode_head.loss_decode = BoundaryAwareLoss(void_edges=False, kernel_size=9)
    sample = weigh_sample(model, dataset[2])
    label = dataset[2]['data_samples'].gt_sem_seg.data.long()
    assert np.array_equal(sample.edges, boundary_edges(label, void_edges=False)[0])
    weight = boundary_weight_map(label, void_edges=False, kernel_size=9)[0]
    assert np.array_equal(sample.weight, weight)
    assert np.array_equal(sample.label, label[0])
    assert sample.name == '2011_000003'
    pixels = dataset[2]['inputs'].permute(1, 2, 0).numpy()  # BGR
    assert np.array_equal(sample.image, pixels[..., ::-1])


def test_any_pixels_become_a_picture():
    grey = np.array([[0, 1000], [500, 250]], np.uint16)
    expected = np.array([[0, 255], [127, 63]], np.uint8)
    assert np.array_equal(picture_of(grey, (2, 2)), np.stack([expected] * 3, axis=2))
    bands = np.arange(16, dtype=np.uint8).reshape(2, 2, 4)
    assert np.array_equal(picture_of(bands, (2, 2), bgr=False), bands[..., :3])
    assert np.array_equal(picture_of(bands, (2, 2)), bands[..., 2::-1])
    assert picture_of(np.full((2, 2), 7.0), (2, 2)).tolist() == np.zeros((2, 2, 3), int).tolist()


def test_pixel_loss_and_its_name(logits_and_label):
    logits, label = logits_and_label
    plain = F.cross_entropy(logits, label, ignore_index=255, reduction='none')
    focal = MODELS.build(dict(type='SoftmaxFocalLoss'))(logits, label, reduction_override='none')
    target = F.one_hot(label.clamp(max=3), 4).permute(0, 3, 1, 2).float()
    each = F.binary_cross_entropy_with_logits(logits, target, reduction='none')
    cross_entropy, map_args = dict(type='CrossEntropyLoss'), dict(kernel_size=5, downsample=1)
    weight = boundary_weight_map(label, **map_args)
    for losses, expected, name in [
        ([dict(cross_entropy, loss_weight=0.4)], 0.4 * plain, 'cross entropy'),
        ([cross_entropy, dict(type='SoftmaxFocalLoss')], plain + focal, '+ SoftmaxFocalLoss'),
        ([dict(cross_entropy, use_sigmoid=True)], each.mean(1) * (label != 255), ''),
        ([dict(type='BoundaryAwareLoss', **map_args)], weight * plain, r'$E_G$ $\cdot$ cross'),
    ]:
        head = head_with(*losses)
        torch.testing.assert_close(pixel_loss(head, logits, label), expected)
        assert name in pixel_loss_name(head)
    loss = dict(type='BoundaryAwareLoss', pixel_loss=dict(type='OHEMPixelLoss'))
    for normalize in ('mean', 'running'):
        name = pixel_loss_name(head_with(dict(loss, normalize=normalize)))
        assert name == r'$E_G / \overline{E_G}$ $\cdot$ OHEMPixelLoss'
    assert weight_name(BoundaryAwareLoss()) == '$E_G$'


@pytest.mark.parametrize('loss', ['DiceLoss', 'LovaszLoss', 'OhemCrossEntropy', 'TverskyLoss'])
def test_loss_without_a_value_for_every_pixel_is_named(loss, logits_and_label):
    options = dict(per_image=True) if loss == 'LovaszLoss' else {}
    sentence = f'{loss} does not give; accepted .*, such as BoundaryAwareLoss and CrossEntropyLoss$'
    with pytest.raises(ValueError, match=sentence):
        pixel_loss(head_with(dict(type=loss, **options)), *logits_and_label)


def test_heads_and_losses_are_found():
    bal, cross_entropy = BoundaryAwareLoss(beta=0.25), nn.Identity()
    first, second = nn.Module(), nn.Module()
    first.loss_decode, second.loss_decode = bal, cross_entropy
    cascade = SimpleNamespace(decode_head=nn.ModuleList([first, second]))
    assert last_head(cascade) is second
    assert last_head(SimpleNamespace(decode_head=first)) is first
    assert boundary_loss(cascade) is bal
    default = boundary_loss(SimpleNamespace(decode_head=second))
    assert default.map_args == BoundaryAwareLoss().map_args


@pytest.mark.parametrize(
    ('length', 'num', 'expected'),
    [(8, 4, [0, 2, 4, 6]), (5, 3, [0, 1, 3]), (2, 4, [0, 1]), (101, 1, [0]), (0, 3, [])],
)
def test_spaced_indices(length, num, expected):
    assert spaced_indices(length, num) == expected
