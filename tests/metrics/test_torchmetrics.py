"""BoundaryQuality: values, and all that torchmetrics asks of a metric."""

import copy
import doctest
import importlib
import math
import pickle
import sys

import matplotlib

matplotlib.use('Agg')

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from mmseg_pacbal import metrics
from mmseg_pacbal.metrics import BoundaryQuality
from mmseg_pacbal.metrics import torchmetrics as module
from tests.conftest import _render_labels
from tests.metrics.reference import (
    boundary_iou_reference,
    contour_reference,
    f1_reference,
    trimap_reference,
)

VOID = 255
CLASSES = 7
WIDTHS = (1, 2, 4, 8, 16, 32)
MEANS = ['mBIoU', *(f'trimap_mIoU@{width}' for width in WIDTHS), 'mBF1']


def make_batch(count: int = 4) -> tuple[Tensor, Tensor]:
    """Generated scenes with and without void, (N, H, W), and the scenes moved as predictions."""
    target = torch.stack([label[:80, :100] for label in _render_labels(count)]).long()
    preds = torch.stack([label.roll((i, 2), (0, 1)) for i, label in enumerate(target)])
    return torch.where(preds == VOID, 0, preds), target


def logits_of(classes: Tensor, num_classes: int = CLASSES) -> Tensor:
    """Logits (N, C, H, W) whose greatest is that of the class."""
    return torch.nn.functional.one_hot(classes, num_classes).movedim(-1, 1).float() * 3 - 1


def scores(preds: Tensor, target: Tensor, num_classes: int = CLASSES, **kwargs) -> dict:
    metric = BoundaryQuality(num_classes, **kwargs)
    metric.update(preds, target)
    return metric.compute()


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    """To the last bit."""
    assert list(first) == list(second)
    for name in first:
        assert torch.equal(first[name].nan_to_num(-1), second[name].nan_to_num(-1)), name


# --- values ---


def test_examples_of_the_docstrings():
    result = doctest.testmod(module)
    assert result.attempted >= 12
    assert result.failed == 0


def test_scores_are_those_of_the_slow_independent_forms():
    """Counts of the images are added, then every class is scored, then the classes are averaged."""
    preds, target = make_batch(3)
    found = scores(preds, target, per_class=True)
    pairs = list(zip(preds.numpy(), target.numpy(), strict=True))

    def total(reference, setting) -> np.ndarray:
        return sum(reference(*pair, CLASSES, setting, VOID) for pair in pairs)

    def iou(counts: np.ndarray) -> np.ndarray:
        both, predicted, true = counts
        return both / (predicted + true - both)

    expected = {'mBIoU': iou(total(boundary_iou_reference, 0.02))}
    for width in WIDTHS:
        expected[f'trimap_mIoU@{width}'] = iou(total(trimap_reference, width))
    expected['mBF1'] = np.array(f1_reference(total(contour_reference, 0.0075)))
    assert list(found) == [*MEANS, *(f'{name}_per_class' for name in MEANS)]
    for name, score in expected.items():
        assert np.nanmin(score) > 0 and np.nanmax(score) < 1
        np.testing.assert_allclose(found[f'{name}_per_class'], score, rtol=1e-12)
        assert found[name].shape == ()
        assert found[name].item() == pytest.approx(np.nanmean(score), rel=1e-12)


INTEGERS = [torch.uint8, torch.int16, torch.int32, torch.bool]
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize('dtype', [*INTEGERS, *FLOATS])
def test_integers_of_every_kind_and_logits(dtype):
    preds, target = make_batch(2)
    if dtype == torch.bool:
        preds, target = (preds == 1).long(), (target == 1).long()
    given = preds.to(dtype), target.to(dtype)
    if dtype in FLOATS:
        given = logits_of(preds).to(dtype).requires_grad_(), target
    assert_same(scores(*given), scores(preds, target))


def test_absent_classes_and_no_classes():
    target = torch.zeros(1, 6, 8, dtype=torch.long)
    nan = math.nan
    cases = [
        # prediction, options, mBIoU and mBF1 of each class
        (target, {}, [1, nan, nan], [1, nan, nan]),
        (torch.ones_like(target), {}, [0, 0, nan], [0, 0, nan]),
        # Void that is a class has no true pixels, and predicting it outside void is wrong.
        (torch.ones_like(target), dict(ignore_index=0), [nan] * 3, [nan] * 3),
        (target[:0], {}, [nan] * 3, [nan] * 3),  # the last batch of a process
    ]
    for preds, options, *expected in cases:
        of_batch = target[: len(preds)]
        found = scores(preds, of_batch, 3, widths=[1], per_class=True, **options)
        for name, values in zip(('mBIoU', 'mBF1'), expected, strict=True):
            np.testing.assert_array_equal(found[f'{name}_per_class'], values)
            assert found[name].nan_to_num(-1) == np.nan_to_num(values[0], nan=-1)
        assert found['trimap_mIoU@1'].isnan()  # nothing is near a boundary of the label
    with pytest.warns(UserWarning, match='compute'):
        assert all(score.isnan() for score in BoundaryQuality(3).compute().values())


# --- void ---


@pytest.mark.parametrize('void', [-1, 7, 300, None])
def test_void_of_another_number(void):
    preds, target = make_batch(2)
    if void is None:
        target = target.where(target != VOID, 0)
    expected = scores(preds, target)
    found = scores(preds, target.where(target != VOID, void or 0), ignore_index=void)
    assert_same(found, expected)
    many = torch.full((1, 6, 8), 255)  # a class there
    assert scores(many, many, 300, ignore_index=None)['mBIoU'] == 1


# --- what torchmetrics asks of a metric ---


def test_batches_add_up_however_they_are_divided():
    preds, target = make_batch()
    metric = BoundaryQuality(CLASSES).half()  # of a model: counts stay integers
    assert {state.dtype for state in metric.metric_state.values()} == {torch.int64}
    for part in (slice(0, 1), slice(1, 4)):
        # Of the batch alone, without what was counted before.
        assert_same(metric(preds[part], target[part]), scores(preds[part], target[part]))
    assert_same(metric.compute(), scores(preds, target))


def test_reset_in_inference_mode():
    """As Lightning validates; training goes on outside of it."""
    preds, target = make_batch(1)
    metric = BoundaryQuality(CLASSES)
    metric.update(target.where(target != VOID, 0), target)
    with torch.inference_mode():
        metric.reset()
        metric.update(preds, target)
    metric.update(preds, target)
    assert_same(metric.compute(), scores(preds, target))


@pytest.mark.parametrize(
    'copied',
    [lambda metric: pickle.loads(pickle.dumps(metric)), BoundaryQuality.clone, copy.deepcopy],
    ids=['pickle', 'clone', 'deepcopy'],
)
def test_copies_count_on_by_themselves(copied):
    preds, target = make_batch()
    metric = BoundaryQuality(CLASSES, per_class=True)
    metric.update(preds[:2], target[:2])
    before = metric.compute()
    other = copied(metric)
    other.update(preds[2:], target[2:])
    assert_same(other.compute(), scores(preds, target, per_class=True))
    assert_same(metric.compute(), before)


def test_collection_keeps_other_settings_apart():
    """After a perfect first batch most counts are equal, whatever the settings."""
    preds, target = make_batch(3)
    target = target.where(target != VOID, 9)
    perfect = target[:1]
    assert (perfect != 9).all()
    settings = [
        {},
        dict(per_class=True),
        dict(tolerance=0.03),
        dict(ratio=0.021),
        dict(ignore_index=9),
        dict(widths=(1, 2, 4, 8, 16, 31)),
    ]
    single = {f'm{i}': BoundaryQuality(10, **kwargs) for i, kwargs in enumerate(settings)}
    collection = MetricCollection({n: m.clone() for n, m in single.items()}, prefix='val/')
    for batch in ((perfect, perfect), (preds, target)):
        for metric in (collection, *single.values()):
            metric.update(*batch)
    # Only per_class makes no difference to the counts.
    assert [group for group in collection.compute_groups.values() if len(group) > 1] == [
        ['m0', 'm1']
    ]
    expected = {f'val/{n}_{k}': s for n, m in single.items() for k, s in m.compute().items()}
    assert_same(collection.compute(), expected)
    assert len({expected[f'val/{name}_mBF1'].item() for name in ('m0', 'm2', 'm4')}) == 3


@pytest.mark.parametrize('per_class', [False, True])
def test_plot_of_one_result_and_of_a_training(per_class):
    preds, target = make_batch(3)
    metric = BoundaryQuality(CLASSES, per_class=per_class)
    results = [metric(preds[i : i + 1], target[i : i + 1]) for i in range(3)]
    figure, ax = matplotlib.pyplot.subplots()
    _, drawn_on = metric.plot(ax=ax)
    assert drawn_on is ax
    assert (ax.get_xlabel() == 'Class') == per_class
    for name, values in lines_of(ax).items():
        score = metric.compute()[f'{name}_per_class' if per_class else name]
        np.testing.assert_array_equal(values, np.atleast_1d(score))
    of_training, ax = metric.plot(results)
    assert ax.get_xlabel() == 'Step'
    found = [result['mBIoU'] for result in results]
    np.testing.assert_array_equal(lines_of(ax)['mBIoU'], found)
    for drawn in (figure, of_training):
        matplotlib.pyplot.close(drawn)


def lines_of(ax) -> dict[str, np.ndarray]:
    """The curve of every mean, in their order."""
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert list(drawn) == MEANS
    return drawn


# --- mistakes ---


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('num_classes', 0),
        ('num_classes', 65536),
        ('num_classes', None),
        ('num_classes', True),
        ('ratio', 0),
        ('ratio', float('nan')),
        ('widths', []),
        ('widths', [4, 2]),
        ('tolerance', 1.5),
        ('ignore_index', 2.0),
        ('per_class', 1),
    ],
)
def test_wrong_argument(name, value):
    with pytest.raises(ValueError, match=f'^{name} must be ') as caught:
        BoundaryQuality(**{'num_classes': 3, name: value})
    assert str(caught.value).endswith(f'but got {value!r}')


def classes(*shape: int, value: int = 0) -> Tensor:
    return torch.full(shape, value)


@pytest.mark.parametrize(
    ('preds', 'target', 'message'),
    [
        (classes(2, 4, 5), classes(2, 1, 4, 5), r'target must .* int64 \(2, 1, 4, 5\); .*squeeze'),
        (classes(2, 4, 5), classes(2, 4, 5).float(), r'target must .* got float32 \(2, 4, 5\)'),
        (classes(2, 0, 5), classes(2, 0, 5), r'target must .* got int64 \(2, 0, 5\)'),
        (classes(4, 5), classes(2, 4, 5), r'preds must be logits.* got int64 \(4, 5\)'),
        (classes(2, 4, 5).float(), classes(2, 4, 5), r'preds must .* got float32 \(2, 4, 5\)'),
        (classes(2, 3, 4, 5), classes(2, 4, 5), r'preds must .* got int64 \(2, 3, 4, 5\)'),
        (classes(2, 4, 4, 5).float(), classes(2, 4, 5), r'num_classes = 3, .* float32 \(2, 4, 4'),
        (classes(2, 1, 4, 5).float(), classes(2, 4, 5), r'one logit .* give \(preds > 0\).squeeze'),
        (classes(2, 3, 2, 3).float(), classes(2, 4, 5), r'same N, H and W, .* \(2, 3, 2, 3\) and'),
        (classes(1, 4, 5), classes(2, 4, 5), r'same N, H and W, but got \(1, 4, 5\) and \(2, 4, 5'),
        (np.zeros((1, 4, 5), int), classes(1, 4, 5), 'preds must be a tensor, but got ndarray'),
        (classes(1, 4, 5), [0], 'target must be a tensor, but got list'),
        (classes(2, 4, 5), classes(2, 4, 5, value=3), 'image 0 of the batch: label holds 3'),
        (classes(2, 4, 5, value=-1), classes(2, 4, 5), 'image 0 of the batch: prediction holds -1'),
    ],
)
def test_wrong_batch(preds, target, message):
    metric = BoundaryQuality(3)
    with pytest.raises((TypeError, ValueError), match=message):
        metric.update(preds, target)
    assert not any(state.any() for state in metric.metric_state.values())


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32])
def test_logits_that_are_nan(dtype):
    """No class is the greatest there, unless the pixel is void; infinite logits are compared."""
    preds, target = make_batch(2)
    expected = scores(preds, target)
    logits = logits_of(preds).to(dtype)
    y, x = (target[1] == VOID).nonzero()[0].tolist()
    logits[1, 2, y, x] = math.nan
    logits[logits > 0] = math.inf
    assert_same(scores(logits, target), expected)
    logits[1, 2:, :2, :3] = math.nan  # in two classes of each of these pixels
    count = (target[1, :2, :3] != VOID).sum()
    assert count
    with pytest.raises(
        ValueError, match=f'image 1 of the batch: the scores of {count} pixels are NaN'
    ):
        scores(logits, target)


def test_torchmetrics_is_needed_by_this_class_only(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchmetrics', None)  # importing it ends in an error
    monkeypatch.delitem(sys.modules, module.__name__)
    monkeypatch.delattr(metrics, 'torchmetrics')
    importlib.reload(metrics)
    with pytest.raises(ImportError) as caught:
        _ = metrics.BoundaryQuality
    assert str(caught.value) == (
        'BoundaryQuality is a metric of torchmetrics, which is not installed; to install it: '
        'pip install torchmetrics'
    )
    with pytest.raises(AttributeError, match=r"metrics' has no attribute 'Quality'"):
        _ = metrics.Quality
