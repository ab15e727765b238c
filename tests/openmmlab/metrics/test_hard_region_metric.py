"""HardRegionMetric: the sum of what region_counts gives, under names of regions."""

import numpy as np
import pytest
import torch

from mmseg_pacbal.metrics.hard_regions import HARD_REGIONS, region_counts
from mmseg_pacbal.metrics.label_counts import class_maps
from mmseg_pacbal.openmmlab.metrics import HardRegionMetric
from tests.openmmlab.metrics.test_boundary_metric import make_samples


def evaluate(classes: tuple[str, ...], **sizes: int) -> tuple[HardRegionMetric, dict[str, float]]:
    metric = HardRegionMetric(**sizes)
    metric.dataset_meta = dict(classes=classes)
    metric.process({}, make_samples(3))
    return metric, metric.evaluate(3)


@pytest.mark.parametrize(('first', 'background'), [('background', 0), ('sky', None)])
def test_counts_add_up(first, background):
    sizes = dict(width=5, area=300, radius=3)
    metric, result = evaluate((first, *'bcdefg'), **sizes)
    expected = 0
    for sample in make_samples(3):
        maps = (sample[key]['data'][0].numpy() for key in ('pred_sem_seg', 'gt_sem_seg'))
        counts = region_counts(*class_maps(*maps, 7), 7, background=background, **sizes)
        expected = expected + counts
    assert np.array_equal(metric.total, expected)
    names = [region.replace(' ', '_') for region in HARD_REGIONS]
    assert list(result) == [f'{name}_{m}' for name in names for m in ('mIoU', 'mAcc')]
    thin = expected[HARD_REGIONS.index('thin parts')]
    present = thin[2] > 0
    mean = np.mean(thin[0, present] / thin[2, present])
    assert result['thin_parts_mAcc'] == round(100 * mean, 2)


def test_all_void():
    metric = HardRegionMetric()
    metric.dataset_meta = dict(classes=('a', 'b'))
    data = torch.full((1, 4, 5), 255)
    metric.process({}, [dict(pred_sem_seg=dict(data=data * 0), gt_sem_seg=dict(data=data))])
    assert all(np.isnan(value) for value in metric.evaluate(1).values())


@pytest.mark.parametrize('name', ['width', 'area', 'radius'])
@pytest.mark.parametrize('value', [0, -1, 2.5, '3', True])
def test_wrong_argument(name, value):
    message = f'^{name} must be a positive integer, but got {value!r}$'
    with pytest.raises(ValueError, match=message):
        HardRegionMetric(**{name: value})
