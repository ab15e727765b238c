"""CalibrationMetric: the sum of what calibration_counts gives."""

import numpy as np
import pytest
import torch
from mmseg.registry import METRICS

from mmseg_pacbal.metrics.calibration import CALIBRATION_REGIONS, calibration_counts, confidence
from mmseg_pacbal.metrics.label_counts import class_maps
from mmseg_pacbal.openmmlab.metrics import CalibrationMetric
from tests.openmmlab.metrics.test_boundary_metric import make_samples


def with_logits(count: int) -> list[dict]:
    generator = torch.Generator().manual_seed(0)
    samples = make_samples(count)
    for sample in samples:
        size = sample['gt_sem_seg']['data'].shape[1:]
        logits = torch.randn(7, *size, generator=generator)
        sample['seg_logits'] = dict(data=logits)
        sample['pred_sem_seg'] = dict(data=logits.argmax(0, keepdim=True))
    return samples


def test_counts_add_up():
    metric = METRICS.build(dict(type='CalibrationMetric', bins=10, width=3))
    metric.dataset_meta = dict(classes=tuple('abcdefg'))
    metric.process({}, with_logits(3))
    result = metric.evaluate(3)
    expected = 0
    for sample in with_logits(3):
        maps = (sample[key]['data'][0].numpy() for key in ('pred_sem_seg', 'gt_sem_seg'))
        values = confidence(sample['seg_logits']['data'].numpy())
        expected = expected + calibration_counts(values, *class_maps(*maps, 7), 7, bins=10, width=3)
    np.testing.assert_allclose(metric.total, expected, rtol=1e-12)
    assert list(result) == [
        f'{r}_{m}' for r in CALIBRATION_REGIONS for m in ('ECE', 'overconfidence')
    ]
    pixels, right, confidences = expected[0]
    ece = (pixels * abs(right - confidences) / np.maximum(pixels, 1)).sum() / pixels.sum()
    assert result['all_ECE'] == round(ece, 4)
    mean = (confidences.sum() - right.sum()) / pixels.sum()
    assert result['all_overconfidence'] == round(mean, 4)
    assert mean > 0.1  # random logits are right in a seventh of the pixels


@pytest.mark.parametrize('name', ['CalibrationMetric', 'BoundaryMetric', 'HardRegionMetric'])
def test_a_model_that_gives_nan_is_named(name):
    """Whatever a metric reads of a sample: the prediction of such a model means nothing."""
    metric = METRICS.build(dict(type=name))
    metric.dataset_meta = dict(classes=tuple('abcdefg'))
    samples = with_logits(2)
    label, logits = (samples[1][key]['data'] for key in ('gt_sem_seg', 'seg_logits'))
    logits[:, label[0] == 255] = float('nan')
    metric.process({}, samples)
    logits[6, -1, -4:] = float('nan')
    count = (label[0, -1, -4:] != 255).sum()
    message = f'^{samples[1]["img_path"]}: the scores of {count} pixels are NaN'
    with pytest.raises(ValueError, match=message):
        metric.process({}, samples)


@pytest.mark.parametrize('name', ['bins', 'width'])
@pytest.mark.parametrize('value', [0, -1, 2.5, '3', True])
def test_wrong_argument(name, value):
    message = f'^{name} must be a positive integer, but got {value!r}$'
    with pytest.raises(ValueError, match=message):
        CalibrationMetric(**{name: value})
