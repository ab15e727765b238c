"""BoundaryMetric in MMSegmentation: configs, the evaluator, tools/test.py, many processes."""

import json
import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from torch import Tensor

from mmseg_pacbal import BoundaryMetric
from mmseg_pacbal.metrics import BoundaryQuality
from mmseg_pacbal.openmmlab.datasets import generate_synthetic_voc
from tests.conftest import _render_labels
from tests.running import DEMO, run_tool

CLASSES = tuple('abcdefg')
WIDTHS = (1, 2, 4, 8, 16, 32)
NAMES = ['mBIoU', *(f'trimap_mIoU@{width}' for width in WIDTHS), 'mBF1']


def sample(prediction: Tensor, label: Tensor | None, name: str = 'a.jpg') -> dict:
    """What mmengine's Evaluator gives a metric for one image; labels are (H, W)."""
    data = dict(img_path=name, pred_sem_seg=dict(data=prediction[None].long()))
    return data if label is None else dict(data, gt_sem_seg=dict(data=label[None]))


def make_samples(count: int = 5) -> list[dict]:
    """Generated scenes with and without void, and the scene moved as its prediction."""
    samples = []
    for i, label in enumerate(_render_labels(count)):
        prediction = label.roll((i, 2), (0, 1))
        samples.append(sample(torch.where(prediction == 255, 0, prediction), label, f'{i}.jpg'))
    return samples


def make_metric(**kwargs: object) -> BoundaryMetric:
    metric = BoundaryMetric(**kwargs)
    metric.dataset_meta = dict(classes=CLASSES)
    return metric


def evaluate(samples: list[dict], **kwargs: object) -> dict[str, float]:
    metric = make_metric(**kwargs)
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_perfect_is_100():
    samples = [sample(label, label) for label in _render_labels(2)]
    assert evaluate(samples) == dict.fromkeys(NAMES, 100.0)


def test_numbers_by_hand():
    """Two images, of which the second has nothing right: counts add up, absent classes are out."""
    label = torch.zeros(8, 80, dtype=torch.uint8)
    label[:, 40:] = 1
    moved = torch.ones_like(label)
    moved[:, :42] = 0
    samples = [sample(moved, label), sample(1 - label, label)]
    result = evaluate(samples, widths=[4], ratio=0.05, tolerance=0.02)
    # The trimap has 8 columns. Intersection over union in columns: class 0 has 4 / 6 in the first
    # image and 0 / 8 in the second, class 1 has 2 / 4 and 0 / 8.
    assert result['trimap_mIoU@4'] == round(100 * (4 / 14 + 2 / 12) / 2, 2)
    # Diagonal 80.4, so d = 4, half of the height: everything is band. Class 0 has 40 / 42 and
    # 0 / 80, class 1 has 38 / 40 and 0 / 80.
    assert result['mBIoU'] == round(100 * (40 / 122 + 38 / 120) / 2, 2)
    # Tolerance 1.6: the contours are 2 columns apart in the first image, 1 in the second.
    assert result['mBF1'] == 50.0


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


def test_beside_iou_metric_in_a_config():
    """As a config has it, with the data samples that a model returns."""
    from mmengine.evaluator import Evaluator
    from mmengine.registry import DefaultScope
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    with DefaultScope.overwrite_default_scope('mmseg'):
        evaluator = Evaluator(
            [dict(type='IoUMetric'), dict(type='BoundaryMetric', widths=[3], prefix='edge')]
        )
    evaluator.dataset_meta = dict(classes=CLASSES)
    label = _render_labels(1)[0][None]
    data_sample = SegDataSample(
        gt_sem_seg=PixelData(data=label), pred_sem_seg=PixelData(data=label.long())
    )
    evaluator.process([data_sample], {})
    result = evaluator.evaluate(1)
    assert result['mIoU'] == 100
    assert {k: v for k, v in result.items() if k.startswith('edge/')} == {
        'edge/mBIoU': 100,
        'edge/trimap_mIoU@3': 100,
        'edge/mBF1': 100,
    }


@pytest.mark.parametrize(
    'settings',
    [{}, dict(ratio=0.01, widths=[3, 5], tolerance=0.02), dict(ignore_index=0)],
)
def test_equals_boundary_quality(settings):
    """To the last digit: the classes of any other training are counted and scored alike."""
    samples = make_samples()
    settings = dict(ignore_index=255) | settings
    if settings['ignore_index'] == 0:
        for s in samples:
            label = s['gt_sem_seg']['data']
            s['gt_sem_seg']['data'] = torch.where(label == 255, 0, label)
    quality = BoundaryQuality(len(CLASSES), **settings)
    for s in samples:
        quality.update(s['pred_sem_seg']['data'], s['gt_sem_seg']['data'])
    found = {name: round(100 * score.item(), 2) for name, score in quality.compute().items()}
    assert found == evaluate(samples, **settings)


def test_equals_boundary_quality_on_real_labels(voc_labels):
    samples = []
    for i, label in enumerate(voc_labels[:10]):
        prediction = label.roll((i, 2), (0, 1))
        samples.append(sample(torch.where(prediction == 255, 0, prediction), label))
    quality = BoundaryQuality(21)
    for s in samples:
        quality.update(s['pred_sem_seg']['data'], s['gt_sem_seg']['data'])
    metric = BoundaryMetric()
    metric.dataset_meta = dict(classes=[str(c) for c in range(21)])
    metric.process({}, samples)
    found = {name: round(100 * score.item(), 2) for name, score in quality.compute().items()}
    assert found == metric.evaluate(len(samples))


def test_void_of_another_number():
    samples = make_samples(2)
    expected = evaluate(samples)
    for s in samples:
        label = s['gt_sem_seg']['data'].long()
        s['gt_sem_seg']['data'] = torch.where(label == 255, -1, label)
    assert evaluate(samples, ignore_index=-1) == expected


def test_a_result_is_small():
    metric = make_metric()
    metric.process({}, make_samples(1))
    assert sum(counts.nbytes for counts in metric.results[0].values()) == 8 * 7 * (3 + 6 * 3 + 6)


# --- mistakes ---


def test_no_ground_truth():
    with pytest.raises(ValueError, match=r'ground truth, but b\.jpg has none; test on a split'):
        evaluate([sample(torch.zeros(4, 4), None, 'b.jpg')])


def test_sizes_differ():
    message = r'c\.jpg: prediction and label must have the same size .* \(4, 4\) and \(4, 5\)'
    with pytest.raises(ValueError, match=message):
        evaluate([sample(torch.zeros(4, 4), torch.zeros(4, 5), 'c.jpg')])


def test_label_that_is_no_class():
    with pytest.raises(ValueError, match=r'd\.jpg: label holds 9, but accepted are classes 0\.\.6'):
        evaluate([sample(torch.zeros(4, 4), torch.full((4, 4), 9), 'd.jpg')])


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('ratio', 0),
        ('ratio', 1.5),
        ('ratio', float('nan')),
        ('ratio', '0.02'),
        ('tolerance', -0.1),
        ('tolerance', True),
        ('widths', ()),
        ('widths', 4),
        ('widths', [0]),
        ('widths', [2, 2]),
        ('widths', [4, 2]),
        ('widths', [1.5]),
        ('ignore_index', None),
        ('ignore_index', 2.0),
    ],
)
def test_wrong_argument(name, value):
    with pytest.raises(ValueError, match=f'^{name} must be ') as caught:
        BoundaryMetric(**{name: value})
    assert str(caught.value).endswith(f'but got {value!r}')


def test_misspelt_argument():
    with pytest.raises(
        TypeError, match=r'BoundaryMetric has no argument ratoi.*did you mean ratio'
    ):
        BoundaryMetric(ratoi=0.1)


# --- as users run it ---


@pytest.mark.slow
def test_in_tools_test(tmp_path):
    """A config's list of evaluators, and the same figures from the saved predictions."""
    from mmengine.config import Config
    from mmseg.registry import MODELS
    from PIL import Image

    data = generate_synthetic_voc(tmp_path / 'VOC2012')
    config = tmp_path / 'mine.py'
    config.write_text(
        f"_base_ = '{DEMO}'\n"
        "test_evaluator = [dict(type='IoUMetric'), dict(type='BoundaryMetric', widths=(1, 4))]\n"
    )
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    torch.save(model.state_dict(), tmp_path / 'model.pth')
    folders = ['--work-dir', tmp_path / 'work', '--out', tmp_path / 'out']
    options = ['--cfg-options', f'data_root={data}', 'test_dataloader.dataset.indices=4']
    result = run_tool('test', config, tmp_path / 'model.pth', *folders, *options)
    assert result.returncode == 0, result.stderr
    record = json.loads(next(iter(tmp_path.glob('work/*/*.json'))).read_text())

    samples = []
    for path in (tmp_path / 'out').iterdir():
        truth = torch.from_numpy(np.array(Image.open(data / 'SegmentationClass' / path.name)))
        samples.append(sample(torch.from_numpy(np.array(Image.open(path))), truth))
    assert len(samples) == 4
    expected = evaluate(samples, widths=(1, 4))
    assert list(expected) == ['mBIoU', 'trimap_mIoU@1', 'trimap_mIoU@4', 'mBF1']
    assert {name: record[name] for name in expected} == expected
    assert 'mIoU' in record


def run_process(rank: int, port: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    samples = make_samples(5)
    metric = make_metric()
    # As mmengine's sampler deals them out: in turn, the first once more to make the shares equal.
    metric.process({}, [*samples, samples[0]][rank::2])
    result = metric.evaluate(5)
    Path(folder, f'{rank}.json').write_text(json.dumps(result))
    torch.distributed.barrier()
    # Without the destructor of gloo, which now and then waits for ever.
    os._exit(0)


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    processes = mp.spawn(run_process, (port, str(tmp_path)), nprocs=2, join=False)
    deadline = time.monotonic() + 300
    while not processes.join(timeout=10):
        assert time.monotonic() < deadline, 'two processes did not end within five minutes'
    expected = evaluate(make_samples(5))
    for rank in range(2):
        assert json.loads((tmp_path / f'{rank}.json').read_text()) == expected
