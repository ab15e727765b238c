"""The loss: against numbers worked out by hand, and against the plain reference."""

import copy
import json
import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.losses import BorderWeightLoss, SoftmaxFocalLoss
from mmseg_pacbal.ops import border_weight_map, boundary_weight_map
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
        (dict(normalize='running'), (12 * LOSS_0 + 5.5 * LOSS_1) / 16 / (17.5 / 15)),
        (dict(normalize='mean', avg_non_ignore=True), (12 * LOSS_0 + 5.5 * LOSS_1) / 17.5),
        (dict(beta=0.0), (8 * LOSS_0 + 2 * LOSS_1) / 16),
        # Without edges at void, 1 less at each of the two pixels beside it.
        (dict(void_edges=False), (12 * LOSS_0 + 3.5 * LOSS_1) / 16),
        # (1 - 3/4)^2 on class 0, (1 - 1/4)^2 on class 1; what void loses does not matter.
        (dict(pixel_loss=SquaredError()), (12 / 16 + 5.5 * 9 / 16) / 16),
        pytest.param(
            dict(pixel_loss=dict(type='CrossEntropyLoss', class_weight=[2.0, 3.0])),
            (2 * 12 * LOSS_0 + 3 * 5.5 * LOSS_1) / 16,
            marks=needs_mmseg,
        ),
    ],
    ids=named,
)
def test_loss_by_hand(options, expected, score):
    loss = BoundaryAwareLoss(**{**NO_BLUR, **options})(score, LABEL)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    loss.backward()
    assert score.grad.isfinite().all()
    assert (score.grad[0, :, 3, 3] == 0).all()
    if set(options) <= {'avg_non_ignore', 'class_weight'}:
        reference = weighted_loss_reference(score, LABEL, **NO_BLUR, **options)
        assert reference.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize('use_sigmoid', [False, True])
def test_pixels_and_gradient_by_hand(use_sigmoid, score):
    if use_sigmoid:  # the probability of class 1 is 1/4 here, too
        score = torch.full((1, 1, 4, 4), -math.log(3), dtype=torch.float64, requires_grad=True)
    options = dict(use_sigmoid=use_sigmoid, **NO_BLUR)
    per_pixel = BoundaryAwareLoss(reduction='none', **options)(score, LABEL)
    expected = WEIGHT.double() * torch.where(LABEL == 0, LOSS_0, LOSS_1) * (LABEL != VOID)
    torch.testing.assert_close(per_pixel, expected, rtol=1e-6, atol=0)
    BoundaryAwareLoss(**options)(score, LABEL).backward()
    # Probability of class 1 minus 1 where it is right, times the weight, over n.
    expected = WEIGHT.double() * torch.where(LABEL == 0, 0.25, 0.25 - 1) * (LABEL != VOID) / 16
    torch.testing.assert_close(score.grad[:, -1], expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(score.grad.sum(1), expected * use_sigmoid, rtol=1e-6, atol=1e-12)


# Against the reference

CLASS_WEIGHT = [0.1 * i + 0.5 for i in range(21)]


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(kernel='linear', kernel_size=15, downsample=2, beta=0.3),
        dict(sigma=1.0, kernel_size=25),
        dict(antialias=False, void_edges=False),
        dict(ignore_padding=False, avg_non_ignore=True),
        dict(class_weight=CLASS_WEIGHT),
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
    settings = dict(kernel='linear', kernel_size=15, sigma=1.0, beta=0.3, downsample=2)
    settings |= dict(antialias=False, void_edges=False, ignore_padding=False)
    for name, value in settings.items():
        loss = BoundaryAwareLoss(**{name: value})
        assert torch.equal(loss.weight_map(crops), boundary_weight_map(crops, **{name: value}))
        assert abs(loss(logits, crops) / default - 1) > 1e-3, name
        assert f'{name}={value!r}' in repr(loss)


@pytest.mark.parametrize('suffix', ['json', 'npy', 'yaml'])
def test_class_weight_from_a_file(suffix, tmp_path):
    class_weight = [0.5, 2.0, 1.25]
    path = tmp_path / f'weight.{suffix}'
    with pytest.raises(FileNotFoundError, match=rf'class_weight must be .*weight\.{suffix}'):
        BoundaryAwareLoss(class_weight=str(path))
    if suffix == 'npy':
        np.save(path, np.array(class_weight))
    else:
        path.write_text(json.dumps(class_weight))  # which is yaml as well
    if suffix == 'yaml':
        pytest.importorskip('yaml')  # which torch does not bring
    assert BoundaryAwareLoss(class_weight=str(path)).class_weight.tolist() == class_weight
    path.write_text('["one", "two"]')
    with pytest.raises(ValueError, match='class_weight must be None, or one finite number'):
        BoundaryAwareLoss(class_weight=str(path))


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


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int16, torch.int32, torch.bool])
def test_label_dtype_does_not_matter(dtype, generator):
    label = random_label(generator) % (2 if dtype == torch.bool else 256)
    logits = random_logits(generator, label, 3)
    for loss in (BoundaryAwareLoss(normalize='mean'), SoftmaxFocalLoss(), BorderWeightLoss()):
        assert torch.equal(loss(logits, label.to(dtype)), loss(logits, label))
    loss = BoundaryAwareLoss(normalize='mean', class_weight=[1.0, 2.0, 3.0])
    for of in (loss.weight_map, loss.pixel_factor, boundary_weight_map, border_weight_map):
        assert torch.equal(of(label.to(dtype)), of(label))


# Normalisation


def test_normalized_map_has_mean_one_over_the_batch(crops):
    weight = BoundaryAwareLoss(normalize='mean').weight_map(crops).double()
    literal = BoundaryAwareLoss().weight_map(crops).double()
    mean = literal[crops != VOID].mean()
    # One factor for the batch: images with more boundary keep more weight.
    torch.testing.assert_close(weight, literal / mean, rtol=1e-5, atol=0)
    assert mean > 2
    # So the loss keeps the scale of cross entropy.
    logits = torch.zeros(len(crops), 21, *crops.shape[1:])
    loss = BoundaryAwareLoss(normalize='mean', avg_non_ignore=True)(logits, crops)
    assert loss.item() == pytest.approx(math.log(21), rel=1e-5)


@pytest.mark.parametrize('normalize', ['mean', 'running'])
def test_normalisation_of_nothing(normalize):
    flat, void = torch.zeros(1, 9, 9, dtype=torch.long), torch.full((1, 9, 9), VOID)
    for beta in (0.5, 0.0):
        loss = BoundaryAwareLoss(normalize=normalize, beta=beta)
        assert loss.weight_map(void).isfinite().all()
        assert torch.equal(loss.weight_map(flat), torch.full((1, 9, 9), float(beta > 0)))


def test_running_mean_is_that_of_the_training_so_far(crops):
    """The decayed sums written out; evaluation, and what needs no gradient, changes nothing."""
    loss = BoundaryAwareLoss(normalize='running')
    total = n = 0.0
    with torch.no_grad():  # before any training: the mean of the batch
        expected = BoundaryAwareLoss(normalize='mean').weight_map(crops)
        torch.testing.assert_close(loss.weight_map(crops), expected)
    for crop in crops.split(2):
        literal, valid = boundary_weight_map(crop), crop != VOID
        total = 0.999 * total + literal[valid].double().sum().item()
        n = 0.999 * n + valid.sum().item()
        expected = (literal * n / total).float()
        torch.testing.assert_close(loss.weight_map(crop), expected, rtol=1e-5, atol=0)
        with torch.no_grad():
            torch.testing.assert_close(loss.weight_map(crop), expected, rtol=1e-5, atol=0)
        torch.testing.assert_close(loss.eval().weight_map(crop), expected, rtol=1e-5, atol=0)
        loss.train()


def test_two_accumulated_halves_weigh_as_the_whole_batch(generator):
    """Of one half with few edges and one with many: exact up to what the batch adds to the mean."""
    few, many = torch.zeros(2, 64, 64).long(), torch.randint(3, (2, 16, 16), generator=generator)
    few[:, :, 60:] = 1
    many = many.repeat_interleave(4, 1).repeat_interleave(4, 2)
    whole = torch.cat([few, many])
    logits = random_logits(generator, whole, 3)

    def gradient(loss, parts: int) -> Tensor:
        pairs = zip(logits.chunk(parts), whole.chunk(parts), strict=True)
        return torch.autograd.grad(sum(loss(*pair) for pair in pairs) / parts, logits)[0]

    loss = BoundaryAwareLoss(normalize='running')
    for _ in range(300):  # of other batches
        label = random_label(generator, (4, 64, 64))
        loss.weight_map(label)
    expected = gradient(copy.deepcopy(loss), 1)
    ratio = (gradient(loss, 2) / expected)[expected != 0]
    assert ratio.min() > 0.99
    assert ratio.max() < 1.01
    # The mean of a batch is wrong by factors here: that is what this is for.
    plain = BoundaryAwareLoss(normalize='mean')
    ratio = (gradient(plain, 2) / gradient(plain, 1))[expected != 0]
    assert ratio.max() / ratio.min() > 5


def test_running_mean_goes_into_checkpoints_and_older_ones_load(crops):
    loss = BoundaryAwareLoss(normalize='running')
    assert list(loss.state_dict()) == ['running.sums']
    loss.weight_map(crops[:4])
    resumed = BoundaryAwareLoss(normalize='running')
    resumed.load_state_dict(loss.state_dict())
    assert torch.equal(resumed.weight_map(crops), loss.weight_map(crops))
    before = loss.state_dict()['running.sums'].clone()
    loss.load_state_dict(BoundaryAwareLoss(normalize='mean').state_dict())
    assert torch.equal(loss.running.sums, before)


# Reductions, factors and weights of the caller


def test_avg_factor_takes_the_place_of_n(score):
    for avg_factor in (1, 7.5, torch.tensor(100.0)):
        loss = BoundaryAwareLoss(avg_non_ignore=True, **NO_BLUR)
        value = loss(score, LABEL, avg_factor=avg_factor).item()
        assert value == pytest.approx((12 * LOSS_0 + 5.5 * LOSS_1) / float(avg_factor), rel=1e-5)
    empty = torch.zeros(0, 4, 4, dtype=torch.long)
    assert BoundaryAwareLoss()(score[:0], empty) == 0
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
    loss = BoundaryAwareLoss(**NO_BLUR)
    # Row 0: 1 * 0.5 and 2 * 2.5 of class 0, 3 * 0.5 of class 1.
    expected = pytest.approx((5.5 * LOSS_0 + 1.5 * LOSS_1) / 16, rel=1e-6)
    for given in (weight, weight[:, None], weight.half(), weight.long()):
        assert loss(score, LABEL, weight=given, seg_weight=3, epoch=1).item() == expected
    row = (torch.arange(4) == 0)[None, :, None].expand(1, 4, 4)  # bool
    expected = pytest.approx((3 * LOSS_0 + LOSS_1) / 16, rel=1e-6)
    assert loss(score, LABEL, weight=row).item() == expected


@pytest.mark.parametrize('shape', [(2, 16, 12), (2, 3, 3), (384,), (1, 12, 16)])
def test_error_names_the_shape_of_weight(shape, generator):
    label = random_label(generator)  # (2, 12, 16)
    logits = random_logits(generator, label, 3)
    for name in ('weight', 'boundary_weight'):
        message = rf'^{name} must be \(2, 12, 16\) .* got {re.escape(str(shape))}'
        with pytest.raises(ValueError, match=message):
            BoundaryAwareLoss()(logits, label, **{name: torch.ones(shape)})


def test_a_map_can_be_passed_on(generator):
    label = random_label(generator)
    logits = random_logits(generator, label, 3)
    loss = BoundaryAwareLoss(kernel_size=5, normalize='mean', class_weight=[1.0, 2.0, 3.0])
    weight = loss.weight_map(label)
    expected = loss(logits, label)
    assert torch.equal(loss(logits, label, boundary_weight=weight), expected)
    assert torch.equal(loss(logits, label, boundary_weight=weight[:, None]), expected)
    torch.testing.assert_close(loss(logits, label, boundary_weight=3 * weight), 3 * expected)


# One output channel, another loss of a pixel


def test_sigmoid_equals_softmax_of_two_channels(generator):
    label = random_label(generator, classes=2)
    logits = random_logits(generator, label, 1)
    for options in (dict(), dict(avg_non_ignore=True), dict(normalize='mean')):
        one = BoundaryAwareLoss(use_sigmoid=True, **options)(logits, label)
        two = BoundaryAwareLoss(**options)(F.pad(logits, (0, 0, 0, 0, 1, 0)), label)
        torch.testing.assert_close(one, two, rtol=1e-9, atol=0)


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


# Robustness


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(avg_non_ignore=True),
        dict(normalize='mean'),
        dict(normalize='running', avg_non_ignore=True, beta=0.0),
        dict(class_weight=[1.0, 2.0, 3.0]),
        dict(reduction='sum'),
        dict(pixel_loss=SquaredError()),
        dict(kernel='linear', ignore_padding=False),
    ],
    ids=named,
)
def test_images_of_void_alone_or_of_one_class(options, generator):
    label = random_label(generator)
    logits = random_logits(generator, label, 3)

    def loss_and_gradient(label: Tensor) -> tuple[Tensor, Tensor]:
        loss = BoundaryAwareLoss(**options)(logits, label)
        return loss, torch.autograd.grad(loss, logits)[0]

    loss, grad = loss_and_gradient(torch.full_like(label, VOID))
    assert loss == 0
    assert torch.equal(grad, torch.zeros_like(logits))
    label[1] = VOID
    loss, grad = loss_and_gradient(label)
    assert loss > 0
    assert grad.isfinite().all()
    assert grad[0].abs().max() > 0
    assert grad[1].abs().max() == 0
    loss, grad = loss_and_gradient(torch.ones_like(label))
    assert grad.isfinite().all()
    if 'pixel_loss' not in options:
        # The map is beta everywhere; normalised it is 1, or 0 if there is no beta.
        beta = options.get('beta', 0.5)
        factor = (beta > 0) if options.get('normalize') else beta
        factor *= options.get('class_weight', [1, 1, 1])[1]
        reduction = options.get('reduction', 'mean')
        expected = factor * F.cross_entropy(logits, torch.ones_like(label), reduction=reduction)
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)


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
    assert BoundaryAwareLoss(use_sigmoid=use_sigmoid)(score, 1 - label) == 0  # right, as sure


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


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float32, torch.float64])
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
def test_computed_in_float32_or_better(options, classes, autocast, dtype, generator):
    label = random_label(generator, classes=min(classes + 1, 3))
    given = random_logits(generator, label, classes, dtype)
    full_dtype = torch.promote_types(dtype, torch.float32)
    full = given.detach().to(full_dtype).requires_grad_()
    loss = BoundaryAwareLoss(**options)
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        actual = loss(given, label)
    expected = loss(full, label)
    assert actual.dtype == full_dtype
    assert torch.equal(actual, expected)
    actual.backward()
    expected.backward()
    assert given.grad.dtype == dtype
    assert torch.equal(given.grad, full.grad.to(dtype))


# As part of MMSegmentation


def test_name_state_and_copies(score):
    assert BoundaryAwareLoss().loss_name == 'loss_bal'
    loss = BoundaryAwareLoss(class_weight=[2.0, 3.0], loss_name='loss_aux', **NO_BLUR)
    assert loss.loss_name == 'loss_aux'
    assert not loss.state_dict()
    assert not list(loss.parameters())
    assert torch.equal(copy.deepcopy(loss)(score, LABEL), loss(score, LABEL))


def test_inputs_are_left_alone(generator):
    label = random_label(generator)
    logits = random_logits(generator, label, 3)
    weight = torch.rand(label.shape, generator=generator)
    before = [tensor.detach().clone() for tensor in (label, logits, weight)]
    BoundaryAwareLoss(normalize='mean')(logits, label, weight=weight).backward()
    for tensor, copy_ in zip((label, logits, weight), before, strict=True):
        assert torch.equal(tensor, copy_)


# Exceptions; what single arguments accept is in tests/test_bad_settings.py


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(use_sigmoid=True, class_weight=[1.0, 2.0]), r'\[1.0, 2.0\] needs use_sigmoid=False'),
        (dict(pixel_loss=SquaredError(), class_weight=[1.0, 2.0]), 'give them to pixel_loss'),
        (dict(pixel_loss=SquaredError(), use_sigmoid=True), 'give them to pixel_loss'),
        (dict(pixel_loss=torch.nn.CrossEntropyLoss()), 'CrossEntropyLoss cannot .* every pixel'),
        pytest.param(
            dict(pixel_loss=dict(type='NoSuchLoss')),
            r'pixel_loss must be .*NoSuchLoss',
            marks=needs_mmseg,
        ),
        pytest.param(
            dict(pixel_loss=dict(type='TverskyLoss')), 'TverskyLoss cannot', marks=needs_mmseg
        ),
    ],
    ids=named,
)
def test_error_names_what_does_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        BoundaryAwareLoss(**options)


@needs_mmseg
def test_error_names_what_pixel_loss_gave(score):
    loss = BoundaryAwareLoss(pixel_loss=dict(type='DiceLoss'))  # one number an image
    message = r'pixel_loss must return \(1, 4, 4\), but gave \(1,\)'
    with pytest.raises(ValueError, match=message):
        loss(score, LABEL.clamp(max=1))


BAL, THREE_ENTRIES = BoundaryAwareLoss(), 'class_weight has 3 entries, but logits has 2 channels'


@pytest.mark.parametrize(
    ('score_shape', 'label_shape', 'loss', 'message'),
    [
        ((2, 4, 4), (1, 4, 4), BAL, r'logits .*\(N, C, H, W\), .* \(2, 4, 4\)'),
        ((1, 2, 4, 4), (1, 1, 4, 4), BAL, r'label .*\(N, H, W\), .* \(1, 1, 4, 4\)'),
        ((1, 2, 4, 4), (1, 4, 5), BAL, r'label must be \(1, 4, 4\) .* \(1, 4, 5\); enlarge them'),
        ((1, 2, 4, 4), (2, 4, 4), BAL, r'label must be \(1, 4, 4\) .* \(2, 4, 4\)$'),
        ((1, 1, 4, 4), (1, 4, 4), BAL, 'logits has 1 channels with use_sigmoid=False'),
        ((1, 2, 4, 4), (1, 4, 4), BoundaryAwareLoss(use_sigmoid=True), '2 channels .* exactly 1'),
        ((1, 2, 4, 4), (1, 4, 4), BoundaryAwareLoss(class_weight=[1.0] * 3), THREE_ENTRIES),
        ((1, 2, 4, 4), (1, 4, 4), SoftmaxFocalLoss(class_weight=[1.0] * 3), THREE_ENTRIES),
    ],
)
def test_error_names_shapes(score_shape, label_shape, loss, message):
    with pytest.raises(ValueError, match=message):
        loss(torch.zeros(score_shape), torch.zeros(label_shape, dtype=torch.long))


def test_error_names_the_dtype_of_the_label(score):
    with pytest.raises(TypeError, match=r'label must hold integers, but got torch\.float32'):
        BoundaryAwareLoss()(score, LABEL.float())


@pytest.mark.parametrize('use_sigmoid', [False, True])
@pytest.mark.parametrize('wrong', [2, 20, 254, -1, -100])
def test_error_names_a_label_that_is_no_class(wrong, use_sigmoid, score):
    label = LABEL.clone()
    label[0, 2, 1] = wrong
    message = rf'label holds {wrong}, but accepted are classes 0\.\.1 and ignore_index=255'
    message += '; .*if -' if wrong < 0 else '; [^;]*$'
    with pytest.raises(ValueError, match=message):
        BoundaryAwareLoss(use_sigmoid=use_sigmoid)(score[:, use_sigmoid:], label)
    with pytest.raises(ValueError, match=r'label holds 255, .* ignore_index=19'):  # void
        BoundaryAwareLoss()(score, LABEL, ignore_index=19)


def test_error_names_what_does_not_go_together_in_a_call(score):
    loss = BoundaryAwareLoss(ignore_index=0)
    with pytest.raises(ValueError, match=r"reduction .*\('none', 'mean', 'sum'\), .* 'max'"):
        loss(score, LABEL, reduction_override='max')
    with pytest.raises(ValueError, match=r"avg_factor goes with reduction='mean', .* 'sum'"):
        loss(score, LABEL, avg_factor=4, reduction_override='sum')
    # A head of MMSegmentation says its own in every call.
    message = 'ignore_index of BoundaryAwareLoss is 0, but it was called with 255, in'
    with pytest.raises(ValueError, match=message):
        loss(score, LABEL, ignore_index=255)
