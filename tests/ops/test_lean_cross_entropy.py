"""Cross entropy strip by strip: against interpolate and cross_entropy on the whole."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pacbal.ops.lean_cross_entropy import lean_cross_entropy
from tests.needs import needs_mmseg

VOID = 255
CLOSE = dict(rtol=1e-5, atol=0)


def plain_cross_entropy(
    logits: Tensor,
    label: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = VOID,
    align_corners: bool = False,
) -> tuple[Tensor, Tensor]:
    """What MMSegmentation does, written out."""
    size = tuple(label.shape[1:])
    large = F.interpolate(logits, size, mode='bilinear', align_corners=align_corners)
    loss = F.cross_entropy(large, label, ignore_index=ignore_index, reduction='none')
    correct = (large.argmax(dim=1) == label) & (label != ignore_index)
    return (loss if weight is None else loss * weight).sum(), correct.sum()


def random_case(
    generator: torch.Generator,
    n: int = 2,
    classes: int = 5,
    small: tuple[int, int] = (5, 7),
    large: tuple[int, int] = (37, 29),
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor, Tensor]:
    logits = torch.randn(n, classes, *small, generator=generator, dtype=dtype) * 3
    label = torch.randint(classes, (n, *large), generator=generator)
    label[torch.rand(label.shape, generator=generator) < 0.2] = VOID
    weight = torch.rand(label.shape, generator=generator, dtype=dtype) * 8
    return logits.requires_grad_(), label, weight


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss, logits)[0]


def assert_equals_plain(logits: Tensor, label: Tensor, weight: Tensor | None, **options) -> None:
    strip_bytes = options.pop('strip_bytes', None)
    actual, correct = lean_cross_entropy(logits, label, weight, strip_bytes=strip_bytes, **options)
    expected, expected_correct = plain_cross_entropy(logits, label, weight, **options)
    torch.testing.assert_close(actual, expected, **CLOSE)
    assert correct == expected_correct
    expected = gradient(expected, logits)
    error = (gradient(actual, logits) - expected).abs().max() / expected.abs().max()
    assert error <= 1e-5


def test_loss_by_hand():
    # Two equal logits: log 2 everywhere, twice as much where the weight is 2, nothing at void.
    logits = torch.zeros(1, 2, 1, 1, requires_grad=True)
    label = torch.tensor([[[0, 1], [1, VOID]]])
    weight = torch.tensor([[[1.0, 2.0], [1.0, 5.0]]])
    loss, _ = lean_cross_entropy(logits, label, weight)
    assert loss.item() == pytest.approx(4 * torch.log(torch.tensor(2.0)).item())
    # sum of w (1/2 - [class]): class 0 has (1 + 2 + 1) / 2 - 1
    assert gradient(loss, logits).flatten().tolist() == pytest.approx([1.0, -1.0])


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize(
    ('small', 'large'),
    [
        ((5, 7), (37, 29)),
        ((8, 8), (64, 64)),
        ((9, 9), (65, 65)),
        ((1, 1), (6, 5)),
        ((1, 4), (9, 4)),
        ((3, 17), (10, 261)),  # three tiles beside one another
        ((6, 5), (6, 5)),
        ((4, 3), (1, 1)),
        ((13, 11), (6, 5)),  # logits larger than the label
    ],
    ids=str,
)
def test_values_and_gradient(small, large, align_corners, generator):
    logits, label, weight = random_case(generator, small=small, large=large)
    label[0, 0, 0] = 1
    row = logits.shape[1] * label.shape[2] * 4
    for strip_bytes, weights in itertools.product((1, row, 3 * row + 1, None), (weight, None)):
        assert_equals_plain(
            logits, label, weights, align_corners=align_corners, strip_bytes=strip_bytes
        )


def test_dtype_of_the_label(generator):
    logits, label, weight = random_case(generator)
    expected, _ = lean_cross_entropy(logits, label, weight)
    for dtype in (torch.uint8, torch.int32):
        assert torch.equal(lean_cross_entropy(logits, label.to(dtype), weight)[0], expected)
    logits, label, _ = random_case(generator, classes=256)
    expected, _ = plain_cross_entropy(logits, label, ignore_index=-1)  # 255 is a class here
    actual, _ = lean_cross_entropy(logits, label.byte(), ignore_index=-1)
    torch.testing.assert_close(actual, expected, **CLOSE)


def test_memory_layout_does_not_matter(generator):
    logits, label, weight = random_case(generator)
    channels_last = logits.detach().contiguous(memory_format=torch.channels_last)
    transposed = label.mT.contiguous().mT
    assert_equals_plain(channels_last.requires_grad_(), transposed, weight.mT.contiguous().mT)


def test_gradient_only_where_it_is_asked_for(generator):
    logits, label, weight = random_case(generator)
    with torch.inference_mode():
        lean_cross_entropy(logits, label, weight)
    expected, _ = lean_cross_entropy(logits, label, weight)
    once = torch.autograd.grad(expected, logits, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(expected * 3, logits)[0], once * 3)
    with torch.no_grad():
        assert torch.equal(lean_cross_entropy(logits, label, weight)[0], expected)
    detached, correct = lean_cross_entropy(logits.detach(), label, weight)
    assert not detached.requires_grad
    assert not correct.requires_grad


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_logits_are_computed_in_float32(dtype, generator):
    logits, label, weight = random_case(generator)
    half = logits.detach().to(dtype).requires_grad_()
    exact = half.detach().float().requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        loss, _ = lean_cross_entropy(half, label, weight)
    expected, _ = plain_cross_entropy(exact, label, weight)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, **CLOSE)
    torch.testing.assert_close(gradient(loss, half), gradient(expected, exact).to(dtype))


@pytest.mark.parametrize(
    ('argument', 'value', 'expected'),
    [
        ('logits', torch.zeros(2, 5, 7), '(N, C, h, w)'),
        ('logits', torch.zeros(2, 5, 7, 7, dtype=torch.long), 'torch.int64'),
        ('label', torch.zeros(3, 37, 29, dtype=torch.long), '(2, H, W)'),
        ('label', torch.zeros(2, 1, 37, 29, dtype=torch.long), '(2, 1, 37, 29)'),
        ('label', torch.zeros(2, 37, 29), 'torch.float32'),
        ('weight', torch.zeros(2, 29, 37), '(2, 37, 29)'),
        ('strip_bytes', 0, '1 or more'),
    ],
)
def test_error_names_argument_and_value(argument, value, expected, generator):
    logits, label, weight = random_case(generator)
    arguments = dict(logits=logits, label=label, weight=weight)
    with pytest.raises(ValueError, match=f'^{argument} must be') as error:
        lean_cross_entropy(**{**arguments, argument: value})
    assert expected in str(error.value)


@needs_mmseg
def test_memory_does_not_grow_with_the_size_of_the_label(generator):
    from benchmarks.harness import peak_memory

    def lean(case):
        lean_cross_entropy(*case)[0].backward()

    def plain(case):
        plain_cross_entropy(*case)[0].backward()

    case = random_case(generator, n=2, classes=150, small=(24, 24), large=(192, 192))
    assert peak_memory(lambda: lean(case)) < peak_memory(lambda: plain(case)) / 10
