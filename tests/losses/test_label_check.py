"""Wrong labels are found on every device; a CPU stands in for one where looking is dear."""

import copy

import pytest
import torch

from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.losses.label_check import LabelCheck

VOID = 255
GOOD = torch.tensor([[[0, 1, 2, VOID]]])


def with_label(value: int) -> torch.Tensor:
    label = GOOD.clone()
    label[0, 0, 1] = value
    return label


@pytest.fixture
def late(monkeypatch):
    """Looks are five calls apart, as they are 64 apart on a GPU."""
    monkeypatch.setattr(LabelCheck, 'CALLS_BETWEEN_LOOKS', {'cpu': 5})


@pytest.mark.parametrize('value', [-1, 3, 254, 256, 2**40, -(2**40)])
def test_wrong_label_ends_the_call_that_brings_it(value):
    check = LabelCheck()
    assert check(GOOD, 3, VOID) is GOOD
    with pytest.raises(ValueError, match=rf'label holds {value}, but accepted are classes 0\.\.2'):
        check(with_label(value), 3, VOID)
    assert check(GOOD, 3, VOID) is GOOD


def test_labels_that_are_right():
    assert LabelCheck()(with_label(-1), 256, -1)[0, 0, 1] == -1  # void may be any number
    empty = GOOD[:0]
    assert LabelCheck()(empty, 3, VOID) is empty


def test_first_call_looks_on_every_device(late):
    with pytest.raises(ValueError, match='label holds 7'):
        LabelCheck()(with_label(7), 3, VOID)


@pytest.mark.parametrize('wrong_call', range(1, 6))
def test_wrong_label_is_void_until_the_next_look_finds_it(late, wrong_call):
    check = LabelCheck()
    for call in range(5):
        wrong = call == wrong_call
        out = check(with_label(7) if wrong else GOOD, 3, VOID)
        assert out.tolist() == [[[0, VOID if wrong else 1, 2, VOID]]]
        check = copy.deepcopy(check)  # a copy keeps what was found
    with pytest.raises(ValueError, match='label holds 7'):
        check(with_label(7) if wrong_call == 5 else GOOD, 3, VOID)
    for _ in range(12):  # said once
        check(GOOD, 3, VOID)


def test_looks_are_as_far_apart_as_they_say(late, monkeypatch):
    looks = []
    whole = torch.Tensor.__int__
    monkeypatch.setattr(torch.Tensor, '__int__', lambda x: looks.append(1) or whole(x))
    check = LabelCheck()
    counts = [check(GOOD, 3, VOID) is not None and len(looks) for _ in range(11)]
    assert counts == [1] * 5 + [2] * 5 + [3]


def test_each_loss_of_a_model_finds_it(late):
    logits = torch.zeros(1, 3, 1, 4, requires_grad=True)
    losses = [BoundaryAwareLoss(kernel_size=1, downsample=1) for _ in range(2)]
    for loss in losses:
        loss(logits, GOOD).backward()
        assert loss(logits, with_label(7)) == loss(logits, with_label(VOID))
        for _ in range(2):
            loss(logits, GOOD)
        with pytest.raises(ValueError, match='label holds 7'):
            loss(logits, GOOD)


@pytest.mark.parametrize('wrong', [7, -1])
@pytest.mark.parametrize('backend', ['eager', 'aot_eager'])
def test_compiled_loss_asserts(backend, wrong):
    torch.compiler.reset()
    loss = BoundaryAwareLoss(kernel_size=1, downsample=1)
    compiled = torch.compile(loss, backend=backend, fullgraph=True)
    logits = torch.zeros(1, 3, 1, 4)
    assert compiled(logits, GOOD) == loss(logits, GOOD)
    with pytest.raises(RuntimeError, match='label is neither a class nor void; check num_classes'):
        compiled(logits, with_label(wrong))


def test_padding_that_is_not_void_is_named():
    """MMSegmentation pads labels with 255, whatever a head's ignore_index is."""
    loss, label = BoundaryAwareLoss(), torch.full((1, 4, 4), 255)
    with pytest.raises(ValueError, match=r'label holds 255, .*if it is padding, .*seg_pad_val=0$'):
        loss(torch.zeros(1, 3, 4, 4), label, ignore_index=0)
