import pytest
import torch
from torch.nn.functional import cross_entropy

from mmseg_pacbal.losses import BorderWeightLoss
from mmseg_pacbal.ops import border_weight_map
from tests.needs import needs_mmseg

VOID = 255


@pytest.fixture
def case(generator) -> tuple[torch.Tensor, torch.Tensor]:
    logits = torch.randn(2, 3, 6, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    label = torch.randint(0, 3, (2, 6, 7), generator=generator)
    label[:, 2:4] = VOID
    return logits, label


def test_cross_entropy_times_the_map(case):
    logits, label = case
    plain = cross_entropy(logits, label, ignore_index=VOID, reduction='none')
    weight = border_weight_map(label, w0=4.0, sigma=1.5)
    expected = (plain * weight).sum() / label.numel()
    loss = BorderWeightLoss(w0=4.0, sigma=1.5)(logits, label)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    loss.backward()
    assert (logits.grad[:, :, 2:4] == 0).all()
    assert (logits.grad[:, :, :2] != 0).all()


def test_without_borders_it_is_cross_entropy(case):
    logits, label = case
    class_weight = [1.0, 2.0, 0.5]
    loss = BorderWeightLoss(w0=0.0, class_weight=class_weight, reduction='none')(logits, label)
    weight = logits.new_tensor(class_weight)
    expected = cross_entropy(logits, label, weight, ignore_index=VOID, reduction='none')
    torch.testing.assert_close(loss, expected)


def test_background(case):
    logits, label = case
    loss = BorderWeightLoss(background=0, reduction='none')(logits, label)
    plain = cross_entropy(logits, label, ignore_index=VOID, reduction='none')
    weight = border_weight_map(label, background=0)
    torch.testing.assert_close(loss, plain * weight)


@needs_mmseg
def test_from_a_config(case):
    from mmseg.registry import MODELS

    loss = MODELS.build(dict(type='BorderWeightLoss', sigma=2.34))
    assert loss.loss_name == 'loss_border'
    assert loss(*case).item() > 0
    with pytest.raises(ValueError, match='sigma must be a finite number above 0, but got -1'):
        MODELS.build(dict(type='BorderWeightLoss', sigma=-1))
