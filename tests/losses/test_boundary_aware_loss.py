"""The loss: against numbers worked out by hand, and against the plain reference."""

import copy
import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.losses import SoftmaxFocalLoss
from mmseg_pacbal.ops import boundary_weight_map
from tests.needs import needs_mmseg
from tests.reference import weighted_loss_reference

VOID = 255
# The map is float32, the rest float64.
CLOSE = dict(rtol=1e-5, atol=0)


def named(options) -> str:
    return (','.join(options) or 'defaults') if isinstance(options, dict) else str(options)


def random_logits(
    generator: torch.Generator, label: Tensor, classes: int, dtype: torch.dtype = torch.float64
) -> Tensor:
    n, height, width = label.shape
    logits = torch.randn(n, classes, height, width, generator=generator, dtype=torch.float64)
    return logits.to(dtype).requires_grad_()


def random_label(
    generator: torch.Generator, size: tuple[int, int, int] = (2, 12, 16), classes: int = 3
) -> Tensor:
    """Blocks of classes, with void at the end of each image."""
    n, height, width = size
    label = torch.randint(classes, (n, height // 4, width // 4), generator=generator)
    label = label.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
    label[:, -2:] = VOID
    label[:, 3:6, 2:5] = VOID
    return label


@pytest.fixture
def crops(voc_labels) -> Tensor:
    """Crops of real labels with both kinds of void: rims, and the padding of small images."""
    crops = []
    for label in voc_labels:
        crop = label[label.shape[0] // 3 :, label.shape[1] // 3 :][:81, :97]
        if crop.unique().numel() > 1:
            crops.append(F.pad(crop, (0, 113 - crop.shape[1], 0, 97 - crop.shape[0]), value=VOID))
    crops = torch.stack(crops[:8]).long()
    assert (crops == VOID).any(dim=2)[:, :81].any()
    return crops


# A 4 x 4 example: class 0 at the left, 1 at the right, one pixel of void in the corner. Without
# blur the map is beta=0.5 plus the edges: 2 left of the boundary, 1 left of and above the void.
#   label     map
#   0 0 1 1   0.5 2.5 0.5 0.5
#   0 0 1 1   0.5 2.5 0.5 0.5
#   0 0 1 1   0.5 2.5 0.5 1.5
#   0 0 1 -   0.5 2.5 1.5 0.5
# The logits make every pixel class 0 with probability 3/4: the cross entropy is log(4/3) on the
# 8 pixels of class 0, whose weights add up to 12, and log(4) on the 7 of class 1, with 5.5.

LABEL = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, VOID]]])
WEIGHT = torch.tensor(
    [[[0.5, 2.5, 0.5, 0.5], [0.5, 2.5, 0.5, 0.5], [0.5, 2.5, 0.5, 1.5], [0.5, 2.5, 1.5, 0.5]]]
)
NO_BLUR = dict(kernel_size=1, downsample=1, beta=0.5)
LOSS_0, LOSS_1 = math.log(4 / 3), math.log(4)


@pytest.fixture
def score() -> Tensor:
    logits = torch.zeros(1, 2, 4, 4, dtype=torch.float64)
    logits[:, 0] = math.log(3)
    return logits.requires_grad_()


# By hand


class SquaredError(torch.nn.Module):
    """(1 - probability of the label)^2, also at void, where it would be NaN."""

    def forward(self, cls_score, label, reduction_override=None, ignore_index=255):
        assert reduction_override == 'none'
        # A product, which autocast would round.
        same = torch.eye(cls_score.shape[1], dtype=cls_score.dtype)
        probability = torch.einsum('nchw,cd->ndhw', cls_score, same).softmax(dim=1)
        valid = label != ignore_index
        right = probability.gather(1, label.where(valid, 0)[:, None])[:, 0]
        return (1 - right).square().masked_fill(~valid, torch.nan)


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (dict(), (12 * LOSS_0 + 5.5 * LOSS_1) / 16),
        (dict(avg_non_ignore=True), (12 * LOSS_0 + 5.5 * LOSS_1) / 15),
        (dict(reduction='sum'), 12 * LOSS_0 + 5.5 * LOSS_1),
        (dict(loss_weight=0.4), 0.4 * (12 * LOSS_0 + 5.5 * LOSS_1) / 16),
        (dict(class_weight=[2.0, 3.0]), (2 * 12 * LOSS_0 + 3 * 5.5 * LOSS_1) / 16),
        # The mean of the map over the 15 pixels that are not void is 17.5 / 15.
        (dict(normalize='mean'), (12 * LOSS_0 + 5.5 * LOSS_1) / 16 / (17.5 / 15)),
        (dict(normalize='mean', avg_non_ignore=True), (12 * LOSS_0 + 5.5 * LOSS_1) / 17.5),
        (dict(beta=0.0), (8 * LOSS_0 + 2 * LOSS_1) / 16),
        # Without edges at void, 1 less at each of the two pixels beside it.
        (dict(void_edges=False), (12 * LOSS_0 + 3.5 * LOSS_1) / 16),
        pytest.param(
            dict(pixel_loss=dict(type='CrossEntropyLoss')),
            (12 * LOSS_0 + 5.5 * LOSS_1) / 16,
            marks=needs_mmseg,
        ),
    ],
    ids=named,
)
def test_loss_by_hand(options, expected, score):
    loss = BoundaryAwareLoss(**{**NO_BLUR, **options})(score, LABEL)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_reference_by_hand(score):
    for options, n in ((dict(), 16), (dict(avg_non_ignore=True), 15)):
        loss = weighted_loss_reference(score, LABEL, **NO_BLUR, **options)
        assert loss.item() == pytest.approx((12 * LOSS_0 + 5.5 * LOSS_1) / n, rel=1e-12)
    loss = weighted_loss_reference(score, LABEL, **NO_BLUR, class_weight=[2.0, 3.0])
    assert loss.item() == pytest.approx((24 * LOSS_0 + 16.5 * LOSS_1) / 16, rel=1e-12)


def test_loss_with_blur_by_hand():
    # Class 0 above left, 1 at the right, 2 along the bottom; the map is that of the linear kernel
    # worked out in ops/test_boundary_weight.py. With 3 equal logits each pixel loses log(3).
    label = torch.tensor([[[0, 0, 1], [0, 0, 1], [2, 2, 2]]])
    loss = BoundaryAwareLoss(kernel='linear', kernel_size=3, downsample=1, beta=0.5)
    total = (11 + 16 + 11) / 3 + (14 + 21 + 14) / 3 + (7 + 10 + 7) / 3 + 9 * 0.5
    value = loss(torch.zeros(1, 3, 3, 3), label)
    assert value.item() == pytest.approx(total * math.log(3) / 9, rel=1e-6)


def test_loss_of_every_pixel_by_hand(score):
    per_pixel = BoundaryAwareLoss(reduction='none', **NO_BLUR)(score, LABEL)
    expected = WEIGHT.double() * torch.where(LABEL == 0, LOSS_0, LOSS_1)
    expected[LABEL == VOID] = 0
    assert per_pixel.shape == (1, 4, 4)
    torch.testing.assert_close(per_pixel, expected, rtol=1e-6, atol=0)


def test_gradient_by_hand(score):
    BoundaryAwareLoss(**NO_BLUR)(score, LABEL).backward()
    # Probability minus 1 where it is right, times the weight, over n.
    expected = WEIGHT.double() * torch.where(LABEL == 0, 0.75 - 1, 0.75) / 16
    expected[LABEL == VOID] = 0
    torch.testing.assert_close(score.grad[:, 0], expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(score.grad[:, 1], -expected, rtol=1e-6, atol=0)


# Against the reference


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(kernel='linear', kernel_size=15, downsample=2, beta=0.3),
        dict(sigma=1.0, kernel_size=25),
        dict(antialias=False),
        dict(void_edges=False),
        dict(ignore_padding=False),
        dict(avg_non_ignore=True),
        dict(class_weight=[0.1 * i + 0.5 for i in range(21)]),
        dict(class_weight=[2.0] * 20 + [0.0], avg_non_ignore=True),
    ],
    ids=named,
)
def test_real_labels_against_reference(options, crops, generator):
    logits = random_logits(generator, crops, 21)
    loss = BoundaryAwareLoss(**options)(logits, crops)
    expected = weighted_loss_reference(logits, crops, **options)
    torch.testing.assert_close(loss, expected, **CLOSE)
    (grad,) = torch.autograd.grad(loss, logits)
    (expected_grad,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(grad, expected_grad, rtol=1e-4, atol=1e-12)
    assert grad.permute(0, 2, 3, 1)[crops == VOID].abs().max() == 0


def test_every_map_argument_reaches_the_map(crops, generator):
    logits = random_logits(generator, crops, 21)
    default = BoundaryAwareLoss()(logits, crops)
    for options in (
        dict(kernel='linear'),
        dict(kernel_size=15),
        dict(sigma=1.0),
        dict(beta=0.3),
        dict(downsample=2),
        dict(antialias=False),
        dict(void_edges=False),
        dict(ignore_padding=False),
    ):
        loss = BoundaryAwareLoss(**options)
        expected = boundary_weight_map(crops, **options)
        assert torch.equal(loss.weight_map(crops), expected)
        assert abs(loss(logits, crops) / default - 1) > 1e-3, options


def test_large_beta_is_plain_cross_entropy(crops, generator):
    logits = random_logits(generator, crops, 21)
    loss = BoundaryAwareLoss(beta=1e6, loss_weight=1e-6, avg_non_ignore=True)(logits, crops)
    expected = F.cross_entropy(logits, crops, ignore_index=VOID)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize('avg_non_ignore', [False, True])
def test_class_weight_with_void(avg_non_ignore, crops, generator):
    class_weight = [0.1 * i + 0.5 for i in range(21)]
    logits = random_logits(generator, crops, 21)
    loss = BoundaryAwareLoss(class_weight=class_weight, avg_non_ignore=avg_non_ignore)
    per_pixel = F.cross_entropy(
        logits,
        crops,
        logits.new_tensor(class_weight),
        ignore_index=VOID,
        reduction='none',
    )
    n = (crops != VOID).sum() if avg_non_ignore else crops.numel()
    expected = (boundary_weight_map(crops) * per_pixel).sum() / n
    torch.testing.assert_close(loss(logits, crops), expected, **CLOSE)


@pytest.mark.parametrize('suffix', ['json', 'npy', 'yaml'])
def test_class_weight_from_a_file(suffix, tmp_path, generator):
    if suffix == 'yaml':
        pytest.importorskip('yaml')  # which torch does not bring
    class_weight = [0.5, 2.0, 1.25]
    path = tmp_path / f'weight.{suffix}'
    if suffix == 'npy':
        np.save(path, np.array(class_weight))
    else:
        path.write_text(json.dumps(class_weight))  # which is yaml as well
    label = random_label(generator)
    logits = random_logits(generator, label, 3)
    loss = BoundaryAwareLoss(class_weight=str(path))(logits, label)
    expected = weighted_loss_reference(logits, label, class_weight=class_weight)
    torch.testing.assert_close(loss, expected, **CLOSE)


@pytest.mark.parametrize('ignore_index', [0, 2, 19, -1])
def test_other_void_label(ignore_index, generator):
    label = random_label(generator, classes=3)
    label[label == VOID] = ignore_index
    logits = random_logits(generator, label, 3)
    loss = BoundaryAwareLoss()(logits, label, ignore_index=ignore_index)
    expected = weighted_loss_reference(logits, label, ignore_index=ignore_index)
    torch.testing.assert_close(loss, expected, **CLOSE)
    known = BoundaryAwareLoss(ignore_index=ignore_index)  # a training loop may give no more
    assert torch.equal(known(logits, label), loss)
    assert torch.equal(known(logits, label, ignore_index=ignore_index), loss)
    expected_map = boundary_weight_map(label, ignore_index=ignore_index)
    assert torch.equal(known.weight_map(label), expected_map)


@pytest.mark.parametrize('loss', [BoundaryAwareLoss, SoftmaxFocalLoss])
def test_error_names_both_void_labels(loss, generator):
    """A head of MMSegmentation says its own in every call."""
    logits, label = torch.randn(1, 3, 4, 5, generator=generator), torch.zeros(1, 4, 5).long()
    with pytest.raises(ValueError, match=f'ignore_index of {loss.__name__} is 0, .* with 255, in'):
        loss(ignore_index=0)(logits, label, ignore_index=255)


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int16, torch.int32])
def test_label_dtype_does_not_matter(dtype, generator):
    label = random_label(generator)
    logits = random_logits(generator, label, 3)
    loss = BoundaryAwareLoss()
    assert torch.equal(loss(logits, label.to(dtype)), loss(logits, label))


# Normalisation


def test_normalized_map_has_mean_one_over_the_batch(crops):
    loss = BoundaryAwareLoss(normalize='mean')
    weight = loss.weight_map(crops).double()
    literal = BoundaryAwareLoss().weight_map(crops).double()
    valid = crops != VOID
    assert weight[valid].mean().item() == pytest.approx(1, rel=1e-5)
    # One factor for the batch: images with more boundary keep more weight.
    mean = literal[valid].mean()
    torch.testing.assert_close(weight, literal / mean, rtol=1e-5, atol=0)
    assert mean > 2


def test_normalized_loss_keeps_the_scale_of_cross_entropy(crops):
    logits = torch.zeros(len(crops), 21, *crops.shape[1:])
    loss = BoundaryAwareLoss(normalize='mean', avg_non_ignore=True)(logits, crops)
    assert loss.item() == pytest.approx(math.log(21), rel=1e-5)


def test_normalisation_of_nothing():
    flat, void = torch.zeros(1, 9, 9, dtype=torch.long), torch.full((1, 9, 9), VOID)
    weigh = BoundaryAwareLoss(normalize='mean').weight_map
    assert torch.equal(weigh(flat), torch.ones(1, 9, 9))
    assert weigh(void).isfinite().all()
    without_beta = BoundaryAwareLoss(normalize='mean', beta=0.0).weight_map
    assert torch.equal(without_beta(flat), torch.zeros(1, 9, 9))
    assert torch.equal(without_beta(void), torch.zeros(1, 9, 9))


# Reductions, factors and weights of the caller


def test_reductions_agree(generator):
    label = random_label(generator)
    logits = random_logits(generator, label, 3)
    per_pixel = BoundaryAwareLoss(reduction='none')(logits, label)
    assert torch.equal(BoundaryAwareLoss(reduction='sum')(logits, label), per_pixel.sum())
    mean = BoundaryAwareLoss(reduction='mean')(logits, label)
    torch.testing.assert_close(mean, per_pixel.mean(), rtol=1e-9, atol=0)


@pytest.mark.parametrize('default', ['none', 'mean', 'sum'])
@pytest.mark.parametrize('override', ['none', 'mean', 'sum'])
def test_reduction_override(default, override, generator):
    label = random_label(generator)
    logits = random_logits(generator, label, 3)
    loss = BoundaryAwareLoss(reduction=default)
    expected = BoundaryAwareLoss(reduction=override)(logits, label)
    assert torch.equal(loss(logits, label, reduction_override=override), expected)


@pytest.mark.parametrize('avg_factor', [1, 7.5, torch.tensor(100.0)])
def test_avg_factor_takes_the_place_of_n(avg_factor, score):
    for avg_non_ignore in (False, True):
        loss = BoundaryAwareLoss(avg_non_ignore=avg_non_ignore, **NO_BLUR)
        value = loss(score, LABEL, avg_factor=avg_factor).item()
        assert value == pytest.approx((12 * LOSS_0 + 5.5 * LOSS_1) / float(avg_factor), rel=1e-5)


def test_avg_factor_of_nothing(score):
    void = torch.full((1, 4, 4), VOID)
    loss = BoundaryAwareLoss()(score, void, avg_factor=0)
    loss.backward()
    assert loss == 0
    assert torch.equal(score.grad, torch.zeros_like(score))
    assert BoundaryAwareLoss()(score, LABEL, avg_factor=0).isfinite()


def test_weight_of_pixels_by_hand(score):
    weight = torch.zeros(1, 4, 4)
    weight[0, 0] = torch.tensor([1.0, 2.0, 0.0, 3.0])
    weight[0, 3, 3] = 1000  # void
    loss = BoundaryAwareLoss(**NO_BLUR)(score, LABEL, weight=weight)
    # Row 0: 1 * 0.5 and 2 * 2.5 of class 0, 3 * 0.5 of class 1.
    assert loss.item() == pytest.approx((5.5 * LOSS_0 + 1.5 * LOSS_1) / 16, rel=1e-6)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.int64, torch.bool])
def test_weight_may_have_any_dtype(dtype, generator):
    label = random_label(generator)
    logits = random_logits(generator, label, 3, torch.float32)
    weight = torch.randint(2, label.shape, generator=generator)
    loss = BoundaryAwareLoss(reduction='none')
    expected = loss(logits, label) * weight
    actual = loss(logits, label, weight=weight.to(dtype))
    assert actual.dtype == torch.float32
    assert torch.equal(actual, expected)


def test_weight_may_have_a_channel(generator):
    label = random_label(generator)
    logits = random_logits(generator, label, 3)
    weight = torch.rand(label.shape, generator=generator)
    loss = BoundaryAwareLoss()
    expected = loss(logits, label, weight=weight)
    assert torch.equal(loss(logits, label, weight=weight[:, None]), expected)


@pytest.mark.parametrize('shape', [(2, 16, 12), (2, 3, 3), (384,), (1, 12, 16)])
def test_error_names_the_shape_of_weight(shape, generator):
    label = random_label(generator)  # (2, 12, 16)
    logits = random_logits(generator, label, 3)
    with pytest.raises(ValueError, match='weight must') as error:
        BoundaryAwareLoss()(logits, label, weight=torch.ones(shape))
    assert '(2, 12, 16)' in str(error.value)
    assert str(shape) in str(error.value)


def test_keywords_of_other_losses_are_ignored(score):
    loss = BoundaryAwareLoss(**NO_BLUR)
    assert torch.equal(loss(score, LABEL, seg_weight=3, epoch=1), loss(score, LABEL))


def test_a_map_can_be_passed_on(generator):
    label = random_label(generator)
    logits = random_logits(generator, label, 3)
    loss = BoundaryAwareLoss(kernel_size=5, normalize='mean', class_weight=[1.0, 2.0, 3.0])
    weight = loss.weight_map(label)
    expected = loss(logits, label)
    assert torch.equal(loss(logits, label, boundary_weight=weight), expected)
    assert torch.equal(loss(logits, label, boundary_weight=weight[:, None]), expected)
    torch.testing.assert_close(loss(logits, label, boundary_weight=3 * weight), 3 * expected)
    with pytest.raises(ValueError, match=r'boundary_weight must be \(2, 12, 16\).*\(2, 12, 15\)'):
        loss(logits, label, boundary_weight=weight[..., 1:])


# One output channel


def test_sigmoid_by_hand():
    # The probability of class 1 is 1/4, so the losses are those of the example above.
    score = torch.full((1, 1, 4, 4), -math.log(3), dtype=torch.float64, requires_grad=True)
    loss = BoundaryAwareLoss(use_sigmoid=True, **NO_BLUR)(score, LABEL)
    assert loss.item() == pytest.approx((12 * LOSS_0 + 5.5 * LOSS_1) / 16, rel=1e-6)
    loss.backward()
    expected = WEIGHT.double() * torch.where(LABEL == 0, 0.25, 0.25 - 1) / 16
    expected[LABEL == VOID] = 0
    torch.testing.assert_close(score.grad[:, 0], expected, rtol=1e-6, atol=0)


def test_sigmoid_equals_softmax_of_two_channels(generator):
    label = random_label(generator, classes=2)
    logits = random_logits(generator, label, 1)
    for options in (dict(), dict(avg_non_ignore=True), dict(normalize='mean')):
        one = BoundaryAwareLoss(use_sigmoid=True, **options)(logits, label)
        two = BoundaryAwareLoss(**options)(F.pad(logits, (0, 0, 0, 0, 1, 0)), label)
        torch.testing.assert_close(one, two, rtol=1e-9, atol=0)


# Another loss of a pixel


def test_pixel_loss_by_hand(score):
    loss = BoundaryAwareLoss(pixel_loss=SquaredError(), **NO_BLUR)(score, LABEL)
    loss.backward()
    # (1 - 3/4)^2 on class 0, (1 - 1/4)^2 on class 1; what void loses does not matter.
    assert loss.item() == pytest.approx((12 / 16 + 5.5 * 9 / 16) / 16, rel=1e-6)
    assert score.grad.isfinite().all()
    assert (score.grad[0, :, 3, 3] == 0).all()


@needs_mmseg
def test_pixel_loss_of_every_class_is_averaged(generator):
    label = random_label(generator)
    logits = random_logits(generator, label, 3, torch.float32)
    pixel_loss = dict(type='CrossEntropyLoss', use_sigmoid=True)
    loss = BoundaryAwareLoss(pixel_loss=pixel_loss, reduction='none')(logits, label)
    valid = (label != VOID)[:, None]
    target = F.one_hot(label.where(valid[:, 0], 0), 3).movedim(-1, 1).float()
    per_class = F.binary_cross_entropy_with_logits(logits, target, reduction='none') * valid
    expected = boundary_weight_map(label) * per_class.mean(dim=1)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-7)


@needs_mmseg
def test_pixel_loss_with_its_own_class_weight(generator):
    label = random_label(generator)
    logits = random_logits(generator, label, 3)
    pixel_loss = dict(type='CrossEntropyLoss', class_weight=[0.5, 2.0, 1.25])
    loss = BoundaryAwareLoss(pixel_loss=pixel_loss)(logits, label)
    expected = weighted_loss_reference(logits, label, class_weight=[0.5, 2.0, 1.25])
    torch.testing.assert_close(loss, expected, **CLOSE)


# Robustness


VARIANTS = pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(avg_non_ignore=True),
        dict(normalize='mean'),
        dict(normalize='mean', avg_non_ignore=True, beta=0.0),
        dict(class_weight=[1.0, 2.0, 3.0]),
        dict(reduction='sum'),
        dict(pixel_loss=SquaredError()),
        dict(kernel='linear', ignore_padding=False),
    ],
    ids=named,
)


@VARIANTS
def test_void_only(options, generator):
    label = torch.full((2, 12, 16), VOID)
    logits = random_logits(generator, label, 3)
    loss = BoundaryAwareLoss(**options)(logits, label)
    loss.backward()
    assert loss == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@VARIANTS
def test_no_boundary(options, generator):
    label = torch.ones(2, 12, 16, dtype=torch.long)
    logits = random_logits(generator, label, 3)
    loss = BoundaryAwareLoss(**options)(logits, label)
    loss.backward()
    assert logits.grad.isfinite().all()
    if 'pixel_loss' not in options:
        # The map is beta everywhere; normalised it is 1, or 0 if there is no beta.
        beta = options.get('beta', 0.5)
        factor = (beta > 0) if options.get('normalize') else beta
        factor *= options.get('class_weight', [1, 1, 1])[1]
        reduction = options.get('reduction', 'mean')
        expected = factor * F.cross_entropy(logits, label, reduction=reduction)
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)


@VARIANTS
def test_one_image_of_void_in_the_batch(options, generator):
    label = random_label(generator)
    label[1] = VOID
    logits = random_logits(generator, label, 3)
    loss = BoundaryAwareLoss(**options)(logits, label)
    loss.backward()
    assert loss > 0
    assert logits.grad.isfinite().all()
    assert logits.grad[0].abs().max() > 0
    assert logits.grad[1].abs().max() == 0


def test_empty_batch():
    logits = torch.zeros(0, 3, 12, 16, requires_grad=True)
    loss = BoundaryAwareLoss()(logits, torch.zeros(0, 12, 16, dtype=torch.long))
    loss.backward()
    assert loss == 0


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('use_sigmoid', [False, True])
def test_large_logits(use_sigmoid, dtype):
    label = torch.ones(1, 8, 8, dtype=torch.long)
    score = torch.zeros(1, 1 if use_sigmoid else 2, 8, 8)
    score[:, 0] = -1e4 if use_sigmoid else 1e4  # wrong by 10,000 everywhere
    score = score.to(dtype).requires_grad_()
    loss = BoundaryAwareLoss(use_sigmoid=use_sigmoid)(score, label)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * 1e4, rel=0.005)  # 1e4 is 9,984 in bfloat16
    # Each pixel pulls with all of its weight, 0.5 / 64.
    expected = torch.full((8, 8), 0.5 / 64) * (-1 if use_sigmoid else 1)
    torch.testing.assert_close(score.grad[0, 0].float(), expected, rtol=1e-2, atol=0)


def test_large_right_logits_cost_nothing():
    label = torch.zeros(1, 8, 8, dtype=torch.long)
    score = torch.zeros(1, 2, 8, 8)
    score[:, 0] = 1e4
    score.requires_grad_()
    loss = BoundaryAwareLoss()(score, label)
    loss.backward()
    assert loss == 0
    assert torch.equal(score.grad, torch.zeros_like(score))


@pytest.mark.parametrize(
    ('options', 'classes'),
    [
        (dict(), 3),
        (dict(avg_non_ignore=True, class_weight=[1.0, 2.0, 3.0]), 3),
        (dict(normalize='mean', reduction='sum'), 3),
        (dict(reduction='none', loss_weight=0.3), 3),
        (dict(use_sigmoid=True), 1),
        (dict(pixel_loss=SquaredError()), 3),
    ],
    ids=named,
)
def test_gradcheck(options, classes, generator):
    label = torch.tensor([[[0, 1, 1, VOID], [0, 0, 1, 1], [0, 1, 0, 1]]])
    logits = random_logits(generator, label, classes)
    loss = BoundaryAwareLoss(kernel_size=3, downsample=2, **options)
    assert torch.autograd.gradcheck(lambda score: loss(score, label), logits)


# Precision


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('autocast', [True, False])
@pytest.mark.parametrize(
    ('options', 'classes'),
    [
        (dict(), 3),
        (dict(use_sigmoid=True), 1),
        (dict(normalize='mean', class_weight=[1.0, 2.0, 3.0]), 3),
        (dict(pixel_loss=SquaredError()), 3),
    ],
    ids=named,
)
def test_half_logits_are_computed_in_float32(options, classes, autocast, dtype, generator):
    label = random_label(generator, classes=min(classes + 1, 3))
    half = random_logits(generator, label, classes, dtype)
    full = half.detach().float().requires_grad_()
    loss = BoundaryAwareLoss(**options)
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        actual = loss(half, label)
    expected = loss(full, label)
    assert actual.dtype == torch.float32
    assert torch.equal(actual, expected)
    actual.backward()
    expected.backward()
    assert half.grad.dtype == dtype
    assert torch.equal(half.grad, full.grad.to(dtype))


def test_float32_logits_stay_so_under_autocast(generator):
    label = random_label(generator)
    logits = random_logits(generator, label, 3, torch.float32)
    loss = BoundaryAwareLoss()
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(loss(logits, label), loss(logits, label))
        actual = loss(logits, label)
    assert torch.equal(actual, loss(logits, label))


def test_float64_logits_stay_so(generator):
    label = random_label(generator)
    logits = random_logits(generator, label, 3)
    assert BoundaryAwareLoss()(logits, label).dtype == torch.float64


# As part of MMSegmentation


def test_names():
    assert BoundaryAwareLoss().loss_name == 'loss_bal'
    assert BoundaryAwareLoss(loss_name='loss_aux').loss_name == 'loss_aux'


def test_it_has_no_state_and_can_be_copied(score):
    loss = BoundaryAwareLoss(class_weight=[2.0, 3.0], **NO_BLUR)
    assert not loss.state_dict()
    assert not list(loss.parameters())
    other = copy.deepcopy(loss)
    assert torch.equal(other(score, LABEL), loss(score, LABEL))


def test_repr_tells_the_map():
    text = repr(BoundaryAwareLoss(kernel='linear', kernel_size=15, beta=0.3))
    for part in ("kernel='linear'", 'kernel_size=15', 'beta=0.3', 'downsample=4'):
        assert part in text


def test_inputs_are_left_alone(generator):
    label = random_label(generator)
    logits = random_logits(generator, label, 3)
    weight = torch.rand(label.shape, generator=generator)
    before = [tensor.detach().clone() for tensor in (label, logits, weight)]
    BoundaryAwareLoss(normalize='mean')(logits, label, weight=weight).backward()
    for tensor, copy_ in zip((label, logits, weight), before, strict=True):
        assert torch.equal(tensor, copy_)


# Exceptions


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (dict(kernel='box'), ('kernel', "'box'", "('gaussian', 'linear')")),
        (dict(kernel_size=34), ('kernel_size', '34', 'positive odd integer')),
        (dict(sigma=0), ('sigma', '0', 'finite number above 0')),
        (dict(beta=-0.5), ('beta', '-0.5', 'finite number, 0 or more')),
        (dict(downsample=0), ('downsample', '0', 'positive integer')),
        (dict(normalize='max'), ('normalize', "'max'", "None or 'mean'")),
        (dict(normalize=True), ('normalize', 'True', "None or 'mean'")),
        (dict(loss_weight='2'), ('loss_weight', "'2'", 'finite number, 0 or more')),
        (dict(loss_weight=-1.0), ('loss_weight', '-1.0', 'finite number, 0 or more')),
        (dict(loss_weight=math.nan), ('loss_weight', 'nan', 'finite number, 0 or more')),
        (dict(class_weight=[1.0, -2.0]), ('class_weight', '[1.0, -2.0]', 'for each class')),
        (dict(class_weight=[1.0, math.inf]), ('class_weight', '[1.0, inf]', 'for each class')),
        (dict(class_weight=[[1.0, 2.0]]), ('class_weight', '[[1.0, 2.0]]', 'for each class')),
        (dict(reduction='max'), ('reduction', "'max'", "('none', 'mean', 'sum')")),
        (
            dict(use_sigmoid=True, class_weight=[1.0, 2.0]),
            ('class_weight', '[1.0, 2.0]', 'use_sigmoid=False'),
        ),
        (
            dict(pixel_loss=dict(type='CrossEntropyLoss'), class_weight=[1.0, 2.0]),
            ('class_weight', 'pixel_loss'),
        ),
        (
            dict(pixel_loss=dict(type='CrossEntropyLoss'), use_sigmoid=True),
            ('use_sigmoid', 'pixel_loss'),
        ),
        pytest.param(
            dict(pixel_loss=dict(type='TverskyLoss')),
            ('pixel_loss', 'TverskyLoss', 'every pixel'),
            marks=needs_mmseg,
        ),
    ],
    ids=named,
)
def test_error_names_argument_value_and_accepted(options, expected):
    with pytest.raises(ValueError, match=expected[0]) as error:
        BoundaryAwareLoss(**options)
    for part in expected:
        assert part in str(error.value)


@needs_mmseg
def test_error_names_an_unknown_pixel_loss():
    with pytest.raises(ValueError, match=r'pixel_loss must be .*NoSuchLoss'):
        BoundaryAwareLoss(pixel_loss=dict(type='NoSuchLoss'))


def test_error_names_a_missing_file(tmp_path):
    path = str(tmp_path / 'weight.json')
    with pytest.raises(FileNotFoundError, match=r'weight\.json'):
        BoundaryAwareLoss(class_weight=path)


@pytest.mark.parametrize('entries', [1, 3, 21])
def test_error_names_the_number_of_class_weights(entries, score):
    loss = BoundaryAwareLoss(class_weight=[1.0] * entries)
    with pytest.raises(ValueError, match=f'class_weight has {entries} entries') as error:
        loss(score, LABEL)
    assert 'logits has 2 channels' in str(error.value)


@needs_mmseg
def test_error_names_what_pixel_loss_gave(score):
    loss = BoundaryAwareLoss(pixel_loss=dict(type='DiceLoss'))  # one number an image
    with pytest.raises(ValueError, match='pixel_loss must return') as error:
        loss(score, LABEL.clamp(max=1))
    assert '(1, 4, 4)' in str(error.value)
    assert 'but gave (1,)' in str(error.value)


@pytest.mark.parametrize(
    ('score_shape', 'label_shape', 'use_sigmoid', 'expected'),
    [
        ((2, 4, 4), (1, 4, 4), False, ('logits', '(N, C, H, W)', '(2, 4, 4)')),
        ((1, 2, 4, 4), (1, 1, 4, 4), False, ('label', '(N, H, W)', '(1, 1, 4, 4)')),
        ((1, 2, 4, 4), (4, 4), False, ('label', '(N, H, W)', '(4, 4)')),
        ((1, 2, 4, 4), (1, 4, 5), False, ('label', '(1, 4, 4)', '(1, 4, 5)')),
        ((1, 2, 4, 4), (2, 4, 4), False, ('label', '(1, 4, 4)', '(2, 4, 4)')),
        ((1, 1, 4, 4), (1, 4, 4), False, ('logits', '1 channels', 'use_sigmoid=False')),
        ((1, 2, 4, 4), (1, 4, 4), True, ('logits', '2 channels', 'exactly 1 channel')),
    ],
)
def test_error_names_shapes(score_shape, label_shape, use_sigmoid, expected):
    loss = BoundaryAwareLoss(use_sigmoid=use_sigmoid)
    with pytest.raises(ValueError, match=expected[0]) as error:
        loss(torch.zeros(score_shape), torch.zeros(label_shape, dtype=torch.long))
    for part in expected:
        assert part in str(error.value)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bool])
def test_error_names_the_dtype_of_the_label(dtype, score):
    with pytest.raises(TypeError, match=f'label must hold integers, but got {dtype}'):
        BoundaryAwareLoss()(score, LABEL.to(dtype))


@pytest.mark.parametrize('wrong', [2, 20, 254, -1, -100])
def test_error_names_a_label_that_is_no_class(wrong, score):
    label = LABEL.clone()
    label[0, 2, 1] = wrong
    with pytest.raises(ValueError, match=f'label holds {wrong}, ') as error:
        BoundaryAwareLoss()(score, label)
    assert 'classes 0..1 and ignore_index=255' in str(error.value)


def test_error_names_a_label_that_is_not_binary():
    label = torch.tensor([[[0, 1], [2, VOID]]])
    with pytest.raises(ValueError, match=r'label holds 2, but accepted are classes 0\.\.1 and'):
        BoundaryAwareLoss(use_sigmoid=True)(torch.zeros(1, 1, 2, 2), label)
    # Void of another number is a label out of range.
    label = torch.tensor([[[0, 1], [1, VOID]]])
    with pytest.raises(ValueError, match=r'label holds 255, .* ignore_index=19'):
        BoundaryAwareLoss(use_sigmoid=True)(torch.zeros(1, 1, 2, 2), label, ignore_index=19)


def test_error_names_reduction_and_avg_factor(score):
    loss = BoundaryAwareLoss()
    with pytest.raises(ValueError, match=r"reduction .*\('none', 'mean', 'sum'\), .* 'max'"):
        loss(score, LABEL, reduction_override='max')
    with pytest.raises(ValueError, match=r"avg_factor goes with reduction='mean', .* 'sum'"):
        loss(score, LABEL, avg_factor=4, reduction_override='sum')
