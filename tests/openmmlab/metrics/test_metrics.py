"""The metrics of MMSegmentation: one tester for all of them, then what each reports."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from mmseg.registry import METRICS
from torch import Tensor

from mmseg_pacbal.metrics import BoundaryQuality
from mmseg_pacbal.metrics.boundary_quality import boundary_counts
from mmseg_pacbal.metrics.calibration import CALIBRATION_REGIONS, calibration_counts, confidence
from mmseg_pacbal.metrics.hard_regions import HARD_REGIONS, region_counts
from mmseg_pacbal.metrics.label_counts import class_maps
from tests.conftest import _render_labels
from tests.distributed.processes import run_processes

CLASSES = tuple('abcdefg')
WIDTHS = (1, 2, 4, 8, 16, 32)
NAMES = ['mBIoU', *(f'trimap_mIoU@{width}' for width in WIDTHS), 'mBF1']


class Case(NamedTuple):
    """A metric with settings, what it reports, and the function of which it adds up the counts."""

    name: str
    settings: dict
    results: list[str]
    counts: Callable[[dict, tuple], np.ndarray]

    def build(self, **kwargs: object) -> object:
        metric = METRICS.build(dict(type=self.name, **{**self.settings, **kwargs}))
        metric.dataset_meta = dict(classes=CLASSES)
        return metric

    def evaluate(self, samples: list[dict], **kwargs: object) -> dict[str, float]:
        metric = self.build(**kwargs)
        metric.process({}, samples)
        return metric.evaluate(len(samples))


CONTOUR = dict(ratio=0.01, widths=(3, 5), tolerance=0.02)
BINS = dict(bins=10, width=3)
SIZES = dict(width=5, area=300, radius=3)
CASES = [
    Case(
        'BoundaryMetric',
        CONTOUR,
        ['mBIoU', 'trimap_mIoU@3', 'trimap_mIoU@5', 'mBF1'],
        lambda sample, maps: boundary_counts(*maps, 7, **CONTOUR)['contour'],
    ),
    Case(
        'CalibrationMetric',
        BINS,
        [f'{r}_{m}' for r in CALIBRATION_REGIONS for m in ('ECE', 'overconfidence')],
        lambda sample, maps: calibration_counts(
            confidence(sample['seg_logits']['data'].float().numpy()), *maps, 7, **BINS
        ),
    ),
    Case(
        'HardRegionMetric',
        SIZES,
        [f'{r.replace(" ", "_")}_{m}' for r in HARD_REGIONS for m in ('mIoU', 'mAcc')],
        lambda sample, maps: region_counts(*maps, 7, **SIZES),
    ),
]
every_metric = pytest.mark.parametrize('case', CASES, ids=lambda case: case.name)
evaluate = partial(Case('BoundaryMetric', {}, NAMES, CASES[0].counts).evaluate)


def sample(prediction: Tensor, label: Tensor | None, name: str = 'a.jpg') -> dict:
    """What mmengine's Evaluator gives a metric for one image; labels are (H, W)."""
    data = dict(img_path=name, pred_sem_seg=dict(data=prediction[None].long()))
    return data if label is None else dict(data, gt_sem_seg=dict(data=label[None]))


def make_samples(count: int = 5) -> list[dict]:
    """Generated scenes with and without void; the scene moved is the prediction, with logits."""
    generator = torch.Generator().manual_seed(0)
    samples = []
    for i, label in enumerate(_render_labels(count)):
        moved = label.roll((i, 2), (0, 1))
        prediction = torch.where(moved == 255, 0, moved).long()
        noise = torch.rand(7, *label.shape, generator=generator)
        logits = noise + torch.nn.functional.one_hot(prediction, 7).movedim(-1, 0)
        samples.append(sample(prediction, label, f'{i}.jpg') | dict(seg_logits=dict(data=logits)))
    return samples


# --- every metric ---


@every_metric
def test_counts_of_images_add_up(case):
    samples, metric = make_samples(3), case.build()
    metric.process({}, samples[:1])
    metric.process({}, samples[1:])
    expected = 0
    for s in samples:
        maps = (s[key]['data'][0].numpy() for key in ('pred_sem_seg', 'gt_sem_seg'))
        expected = expected + case.counts(s, class_maps(*maps, 7))
    found = {}
    metric.scores, scores = lambda total: found.update(total) or scores(total), metric.scores
    result = metric.evaluate(3)
    assert list(result) == case.results
    assert result == case.evaluate(samples)
    *_, total = found.values()
    np.testing.assert_allclose(total, expected, rtol=1e-12)


@every_metric
@pytest.mark.parametrize('dtype', [torch.int16, torch.int32, torch.int64])
def test_labels_and_logits_of_other_dtypes(case, dtype):
    samples = make_samples(1)
    logits = samples[0]['seg_logits']
    logits['data'] = logits['data'].half()
    expected = case.evaluate(samples)
    for key in ('pred_sem_seg', 'gt_sem_seg'):
        samples[0][key]['data'] = samples[0][key]['data'].to(dtype)
    logits['data'] = logits['data'].float()
    assert case.evaluate(samples) == expected


@every_metric
@pytest.mark.parametrize('void', [-1, 7, 300])
def test_void_of_another_number(case, void):
    samples = make_samples(2)
    expected = case.evaluate(samples)
    for s in samples:
        label = s['gt_sem_seg']['data'].long()
        s['gt_sem_seg']['data'] = torch.where(label == 255, void, label)
    assert case.evaluate(samples, ignore_index=void) == expected


@every_metric
def test_void_alone_has_no_score(case):
    samples = make_samples(1)
    samples[0]['gt_sem_seg']['data'][:] = 255
    assert all(np.isnan(value) for value in case.evaluate(samples).values())


@every_metric
def test_mistake_in_a_sample_names_the_image(case):
    zeros = torch.zeros(4, 4).long()
    for wrong, message in [
        (sample(zeros, None, 'b.jpg'), r'ground truth, but b\.jpg has none; test on a split'),
        (sample(zeros, zeros[:, :3], 'c.jpg'), r'c\.jpg: .* same size .* got \(4, 4\) and \(4, 3'),
        (sample(zeros, zeros + 9, 'd.jpg'), r'd\.jpg: label holds 9, but accepted .* 0\.\.6'),
    ]:
        with pytest.raises(ValueError, match=message):
            case.evaluate([wrong])


@every_metric
def test_a_model_that_gives_nan_is_named(case):
    """Whatever a metric reads of a sample: the prediction of such a model means nothing."""
    samples = make_samples(2)
    expected = case.evaluate(samples)
    label, logits = (samples[1][key]['data'] for key in ('gt_sem_seg', 'seg_logits'))
    void = label[0] == 255
    assert void.any()
    logits[:, void] = float('nan')
    assert case.evaluate(samples) == expected
    logits[6, ~void] = float('nan')
    with pytest.raises(ValueError, match=f'^1.jpg: the scores of {(~void).sum()} pixels are NaN'):
        case.evaluate(samples)


@pytest.mark.parametrize(
    ('metric', 'names', 'values', 'accepted'),
    [
        ('BoundaryMetric', ['ratio', 'tolerance'], [0, 1.5, -0.1, float('nan'), '0.02', True], ''),
        ('BoundaryMetric', ['widths'], [(), 4, [0], [2, 2], [4, 2], [1.5], None, ['1']], ''),
        ('BoundaryMetric', ['ignore_index'], [None, 2.0, '255'], 'an integer'),
        ('CalibrationMetric', ['bins', 'width'], [0, -1, 2.5, '3', True], 'a positive integer'),
        ('HardRegionMetric', list(SIZES), [0, -1, 2.5, '3', True], 'a positive integer'),
    ],
)
def test_wrong_argument(metric, names, values, accepted):
    for name in names:
        for value in values:
            with pytest.raises(ValueError, match=f'^{name} must be {accepted}') as caught:
                METRICS.get(metric)(**{name: value})
            assert str(caught.value).endswith(f'but got {value!r}')
    with pytest.raises(TypeError, match=f'{metric} has no argument .*did you mean {names[0]}'):
        METRICS.get(metric)(**{f'{names[0]}_': 0.1})


def evaluate_share(_: slice) -> list[dict[str, float]]:
    """As mmengine's sampler deals images out: in turn, the first once more for equal shares."""
    samples, results = make_samples(5), []
    for case in CASES:
        metric = case.build()
        metric.process({}, [*samples, samples[0]][torch.distributed.get_rank() :: 2])
        results.append(metric.evaluate(5))
    return results


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    expected = [case.evaluate(make_samples(5)) for case in CASES]
    assert run_processes(2, evaluate_share, tmp_path) == [expected, expected]


# --- BoundaryMetric ---


def test_table_tells_every_class(caplog):
    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        result = evaluate(make_samples(2))
    finally:
        logger.removeHandler(caplog.handler)
    lines = [line.strip('| ').split('|') for line in caplog.text.splitlines() if '|' in line]
    table = {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines}
    assert list(table) == ['Class', *CLASSES, 'mean']
    assert table['Class'] == ['BIoU', *(f'trimap@{width}' for width in WIDTHS), 'BF1']
    assert [float(cell) for cell in table['mean']] == list(result.values())
    columns = np.array([table[c] for c in CLASSES], dtype=float)
    np.testing.assert_allclose(np.nanmean(columns, axis=0), list(result.values()), atol=0.011)


@pytest.mark.parametrize('settings', [{}, CONTOUR, dict(ignore_index=0)])
def test_equals_boundary_quality(settings):
    """To the last digit: the classes of any other training are counted and scored alike."""
    samples = make_samples()
    settings = dict(ignore_index=255) | settings
    quality = BoundaryQuality(len(CLASSES), **settings)
    for s in samples:
        label = s['gt_sem_seg']['data']
        s['gt_sem_seg']['data'] = torch.where(label == 255, settings['ignore_index'], label)
        quality.update(s['pred_sem_seg']['data'], s['gt_sem_seg']['data'])
    found = {name: round(100 * score.item(), 2) for name, score in quality.compute().items()}
    assert found == evaluate(samples, **settings)


def test_a_result_is_small():
    metric = METRICS.get('BoundaryMetric')()
    metric.dataset_meta = dict(classes=CLASSES)
    label = torch.arange(48).reshape(6, 8) // 24 + 3  # two of the seven classes
    metric.process({}, [sample(label, label)])
    (result,) = metric.results
    assert [used.tolist() for _, used, _ in result.values()] == [[3, 4]] * 3
    assert sum(counts.nbytes for *_, counts in result.values()) == 4 * 2 * (3 + 6 * 3 + 6)


# --- the others ---


def test_calibration_scores_are_those_of_the_counts():
    metric = CASES[1].build()
    metric.process({}, make_samples(2))
    result = metric.evaluate(2)
    pixels, right, confidences = metric.total[0]
    ece = (pixels * abs(right - confidences) / np.maximum(pixels, 1)).sum() / pixels.sum()
    assert result['all_ECE'] == round(ece, 4)
    mean = (confidences.sum() - right.sum()) / pixels.sum()
    assert result['all_overconfidence'] == round(mean, 4)
    assert abs(mean) > 0.1


@pytest.mark.parametrize(('first', 'background'), [('background', 0), ('sky', None)])
def test_hard_regions_leave_the_background_out(first, background):
    metric = METRICS.build(dict(type='HardRegionMetric', **SIZES))
    metric.dataset_meta = dict(classes=(first, *CLASSES[1:]))
    samples = make_samples(2)
    metric.process({}, samples)
    result = metric.evaluate(2)
    expected = 0
    for s in samples:
        maps = (s[key]['data'][0].numpy() for key in ('pred_sem_seg', 'gt_sem_seg'))
        expected += region_counts(*class_maps(*maps, 7), 7, background=background, **SIZES)
    assert np.array_equal(metric.total, expected)
    thin = expected[HARD_REGIONS.index('thin parts')]
    present = thin[2] > 0
    mean = np.mean(thin[0, present] / thin[2, present])
    assert result['thin_parts_mAcc'] == round(100 * mean, 2)
