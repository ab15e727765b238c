"""A weight map is computed once for all heads that ask for the same one."""

import pytest
import torch

from mmseg_pacbal import BoundaryAwareLoss, boundary_weight_map
from mmseg_pacbal.losses import shared_map
from tests.needs import needs_mmseg

VOID = 255


@pytest.fixture
def label(generator) -> torch.Tensor:
    return torch.randint(3, (2, 20, 24), generator=generator)


@pytest.fixture
def maps(monkeypatch) -> list[dict]:
    """Settings of the maps that were computed."""
    computed = []

    def count(label, **settings):
        computed.append(settings)
        return boundary_weight_map(label, **settings)

    monkeypatch.setattr(shared_map, 'boundary_weight_map', count)
    monkeypatch.setattr(shared_map, '_last', None)
    return computed


@needs_mmseg
def test_heads_of_a_model_share_the_map_of_a_batch(maps, label, make_samples):
    from mmseg.registry import MODELS

    loss = dict(type='BoundaryAwareLoss', kernel_size=5)
    base = dict(in_channels=4, channels=4, num_classes=3)
    heads = [
        MODELS.build({**base, 'type': 'PACHead', 'loss_decode': loss}),
        MODELS.build({**base, 'type': 'FCNHead', 'loss_decode': {**loss, 'loss_weight': 0.4}}),
        MODELS.build({**base, 'type': 'LeanHead', 'head': 'FCNHead', 'loss_decode': loss}),
    ]
    for batch in (label, 2 - label):
        for head in heads:
            head.loss([torch.randn(2, 4, 5, 6)], make_samples(batch), {})
    assert len(maps) == 2


def test_other_labels_and_settings_have_maps_of_their_own(maps, label):
    other, void = label.clone(), label.clone()
    other[1, 7, 8] += 1
    void[0, :3] = VOID
    losses = [BoundaryAwareLoss(kernel_size=5), BoundaryAwareLoss(kernel_size=7)]
    for loss in losses:
        for case in (label, label, other, void, label[:1], label.byte()):
            expected = boundary_weight_map(case, **loss.map_args)
            assert torch.equal(loss.weight_map(case), expected)
    assert len(maps) == 10
    losses[0].weight_map(void, ignore_index=19)
    assert len(maps) == 11


def test_a_label_that_is_overwritten_is_another_label(maps, label):
    loss = BoundaryAwareLoss(kernel_size=5)
    loss.weight_map(label)
    label[0, 5, 5] = 3
    assert torch.equal(loss.weight_map(label), boundary_weight_map(label, **loss.map_args))
    assert len(maps) == 2


def test_a_map_that_is_overwritten_is_computed_again(maps, label):
    loss = BoundaryAwareLoss(kernel_size=5)
    loss.weight_map(label).zero_()
    assert torch.equal(loss.weight_map(label), boundary_weight_map(label, **loss.map_args))
    assert len(maps) == 2


def test_a_map_can_be_passed_on(maps, label, generator):
    logits = torch.randn(2, 3, 20, 24, generator=generator)
    loss = BoundaryAwareLoss(kernel_size=5, normalize='mean', class_weight=[1.0, 2.0, 3.0])
    weight = loss.weight_map(label)
    expected = loss(logits, label)
    assert torch.equal(loss(logits, label, boundary_weight=weight), expected)
    assert torch.equal(loss(logits, label, boundary_weight=weight[:, None]), expected)
    torch.testing.assert_close(loss(logits, label, boundary_weight=3 * weight), 3 * expected)


def test_error_names_the_shape_of_a_map(label):
    with pytest.raises(ValueError, match=r'boundary_weight must be \(2, 20, 24\).*\(2, 20, 23\)'):
        BoundaryAwareLoss()(torch.zeros(2, 3, 20, 24), label, boundary_weight=label[..., 1:])
