"""The losses: finite wherever their input is, and one value whichever way they are computed."""

import torch
import torch.nn.functional as F
from hypothesis import assume
from hypothesis import strategies as st
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor

from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.losses import OHEMPixelLoss, SoftmaxFocalLoss
from mmseg_pacbal.openmmlab.heads import build_chunked_loss_head
from mmseg_pacbal.ops import lean_cross_entropy
from tests.property.strategies import EXAMPLES, check, generators, labels, map_options
from tests.reference import weighted_loss_reference

CLASSES = 4
CLASS_WEIGHT = st.lists(st.floats(0, 2), min_size=CLASSES, max_size=CLASSES)
SMALL_LABELS = labels(classes=CLASSES, side=12)
FOCAL = dict(type='SoftmaxFocalLoss', gamma=0.5)
OHEM = dict(type='OHEMPixelLoss', keep_ratio=0.1)


@st.composite
def logits(draw: st.DrawFn, shape: tuple[int, ...]) -> Tensor:
    """Finite, up to 1e4 in magnitude: noise of any scale, or extremes only."""
    generator = draw(generators())
    scale = draw(st.sampled_from([0.0, 1e-3, 1.0, 100.0, 1e4]))
    noise = torch.rand(shape, generator=generator) * 2 - 1
    if draw(st.booleans()):
        noise = noise.round()  # -1, 0 and 1
    return noise * scale


def loss_options() -> st.SearchStrategy[dict]:
    """Options of BoundaryAwareLoss; factors are such that float16 holds every gradient."""
    return st.builds(
        lambda of_map, of_loss: {**of_map, **of_loss},
        map_options(),
        st.fixed_dictionaries(
            {},
            optional=dict(
                avg_non_ignore=st.booleans(),
                normalize=st.sampled_from([None, 'mean', 'running']),
                reduction=st.sampled_from(['mean', 'sum', 'none']),
                loss_weight=st.floats(0, 1),
            ),
        ),
    )


@EXAMPLES
def test_loss_and_gradient_are_finite(examples):
    def holds(data, label, dtype, options, class_weight, kind):
        label, ignore_index = label
        sigmoid = kind == 'sigmoid'
        score = data.draw(logits((len(label), 1 if sigmoid else CLASSES, *label.shape[1:])))
        score = score.to(dtype).requires_grad_()
        loss = {
            'plain': lambda: BoundaryAwareLoss(class_weight=class_weight, **options),
            'sigmoid': lambda: BoundaryAwareLoss(use_sigmoid=True, **options),
            'focal': lambda: BoundaryAwareLoss(pixel_loss=FOCAL, **options),
            'ohem': lambda: BoundaryAwareLoss(pixel_loss=OHEM, **options),
            'focal alone': lambda: SoftmaxFocalLoss(gamma=0.5),
            'ohem alone': lambda: OHEMPixelLoss(keep_ratio=0.1, class_weight=class_weight),
        }[kind]()
        if sigmoid:
            label = torch.where(label == ignore_index, label, label % 2)
        value = loss(score, label, ignore_index=ignore_index)
        value.sum().backward()
        assert value.isfinite().all()
        assert (value >= 0).all()
        assert score.grad.isfinite().all()
        assert (score.grad[(label == ignore_index)[:, None].expand_as(score)] == 0).all()

    kinds = ['plain', 'sigmoid', 'focal', 'ohem', 'focal alone', 'ohem alone']
    check(
        holds,
        examples,
        data=st.data(),
        label=SMALL_LABELS,
        dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
        options=loss_options(),
        class_weight=st.none() | CLASS_WEIGHT,
        kind=st.sampled_from(kinds),
    )


@EXAMPLES
def test_loss_equals_the_reference(examples):
    def holds(data, label, map_options, class_weight, avg_non_ignore):
        label, ignore_index = label
        score = data.draw(logits((len(label), CLASSES, *label.shape[1:]))).double()
        options = dict(class_weight=class_weight, avg_non_ignore=avg_non_ignore, **map_options)
        expected = weighted_loss_reference(score, label, ignore_index=ignore_index, **options)
        actual = BoundaryAwareLoss(**options)(score, label, ignore_index=ignore_index)
        if label.eq(ignore_index).all():
            assert actual == 0
        else:
            torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-6)

    check(
        holds,
        examples,
        data=st.data(),
        label=SMALL_LABELS,
        map_options=map_options(),
        class_weight=st.none() | CLASS_WEIGHT,
        avg_non_ignore=st.booleans(),
    )


@EXAMPLES
def test_lean_cross_entropy_equals_the_plain_one(examples):
    def holds(data, label, size, align_corners, strip_bytes):
        label, ignore_index = label
        score = data.draw(logits((len(label), CLASSES, *size))).double().requires_grad_()
        weight = torch.rand(label.shape, generator=data.draw(generators()), dtype=torch.float64)
        large = F.interpolate(score, label.shape[1:], mode='bilinear', align_corners=align_corners)
        per_pixel = F.cross_entropy(large, label, ignore_index=ignore_index, reduction='none')
        expected = (weight * per_pixel).sum()
        actual, _ = lean_cross_entropy(
            score,
            label,
            weight,
            ignore_index=ignore_index,
            align_corners=align_corners,
            strip_bytes=strip_bytes,
        )
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)
        gradients = [torch.autograd.grad(loss, score)[0] for loss in (actual, expected)]
        torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)

    check(
        holds,
        examples,
        data=st.data(),
        label=SMALL_LABELS,
        size=st.tuples(st.integers(1, 14), st.integers(1, 14)),
        align_corners=st.booleans(),
        strip_bytes=st.sampled_from([None, 1, 1000]),
    )


@EXAMPLES
def test_lean_loss_of_a_head_equals_the_plain_one(examples):
    def holds(data, label, options, class_weight, size):
        label, ignore_index = label
        assume(options.get('reduction') != 'none')
        head = build_chunked_loss_head(
            'PACHead',
            in_channels=1,
            channels=1,
            num_classes=CLASSES,
            ignore_index=ignore_index,
            loss_decode=dict(type='BoundaryAwareLoss', class_weight=class_weight, **options),
        )
        score = data.draw(logits((len(label), CLASSES, *size))).double().requires_grad_()
        samples = [SegDataSample(gt_sem_seg=PixelData(data=image[None])) for image in label]
        values, gradients = [], []
        for loss_by_feat in (type(head).loss_by_feat, BaseDecodeHead.loss_by_feat):
            values.append(loss_by_feat(head, score, samples)['loss_bal'])
            gradients.append(torch.autograd.grad(values[-1], score)[0])
        # Weights are float32 on either way, added up in different orders.
        torch.testing.assert_close(*values, rtol=1e-5, atol=1e-6)
        largest = max(1, *(gradient.abs().max().item() for gradient in gradients))
        torch.testing.assert_close(*gradients, rtol=0, atol=1e-5 * largest)

    check(
        holds,
        examples,
        data=st.data(),
        label=SMALL_LABELS,
        options=loss_options(),
        class_weight=st.none() | CLASS_WEIGHT,
        size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    )
