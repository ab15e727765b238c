"""What MMSegmentation's evaluation reports with the plugin imported."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import METRICS, MODELS
from mmseg.structures import SegDataSample

import mmseg_pacbal  # noqa: F401 (imported for what it puts right)

IoUMetric = METRICS.get('mmseg.IoUMetric')


def test_more_pixels_than_a_float32_counts():
    half = 2**24 + 2
    label = torch.zeros(1, 2 * half, dtype=torch.uint8)
    prediction = label.clone()
    prediction[:, half:] = 1
    areas = IoUMetric.intersect_and_union(prediction, label, 2, 255)
    assert [area.tolist() for area in areas] == [
        *([half, 0], [2 * half, half]),
        *([half, half], [2 * half, 0]),
    ]
    metric = IoUMetric()
    metric.dataset_meta = dict(classes=('a', 'b'))
    metric.results = [areas] * 3  # float32 would lose the ones here, too
    assert metric.compute_metrics(metric.results) == dict(aAcc=50.0, mIoU=25.0, mAcc=50.0)


@pytest.mark.parametrize('num_classes', [3, 255, 256, 300])
@pytest.mark.parametrize('dtype', [torch.uint8, torch.int8, torch.int64])
def test_what_is_no_class_counts_for_none(num_classes, dtype):
    """Six pixels: right, wrong, void, a class that there is not predicted, and labelled (twice)."""
    none = 100 if dtype == torch.int8 else 200  # beyond three classes
    prediction = torch.tensor([[0, 1, 1, none, 2, none]], dtype=dtype)
    label = torch.tensor([[0, 2, 9, 1, none, none]], dtype=dtype)
    areas = IoUMetric.intersect_and_union(prediction, label, num_classes, 9)
    for area, expected in zip(areas, ([1, 0, 0], [1, 2, 2], [1, 1, 1], [1, 1, 1]), strict=True):
        assert area.dtype == torch.int64 and area.shape == (num_classes,)
        assert area[:3].tolist() == expected
        assert area[3:].count_nonzero() == (num_classes > none)


def test_dice_beside_iou():
    """IoU of the two classes is 30/60 and 10/40, and Dice = 2 IoU / (1 + IoU) of each."""
    metric = IoUMetric(iou_metrics=['mIoU', 'mDice'])
    metric.dataset_meta = dict(classes=('background', 'object'))
    areas = torch.tensor([[30, 10], [60, 40], [50, 20], [40, 30]])
    scores = metric.compute_metrics([tuple(areas)])
    assert scores['mIoU'] == 37.5
    assert scores['mDice'] == pytest.approx(100 * (2 / 3 + 0.4) / 2, abs=0.005)
    of_classes = IoUMetric.total_area_to_metrics(*areas, ['mIoU', 'mDice'])
    iou, dice = of_classes['IoU'], of_classes['Dice']
    assert iou.tolist() == [0.5, 0.25]
    assert dice == pytest.approx(2 * iou / (1 + iou))
    assert dice == pytest.approx([2 / 3, 0.4])


@pytest.mark.parametrize('dtype', [torch.int64, torch.float32])
def test_values_of_small_images_are_those_of_histc(dtype, generator):
    """All digits, and float predictions as a head with one output channel gives them."""
    metric = IoUMetric(iou_metrics=['mIoU', 'mDice', 'mFscore'])
    metric.dataset_meta = dict(classes=tuple('abcd'))
    label = torch.randint(0, 4, (30, 40), generator=generator)
    label[:5] = 255
    prediction = torch.randint(0, 3, (30, 40), generator=generator).to(dtype)
    valid = label != 255
    maps = (prediction[valid].float(), label[valid].float())
    both = maps[1][maps[0] == maps[1]]
    intersect, predicted, true = (torch.histc(m, 4, 0, 3) for m in (both, *maps))
    expected = metric.compute_metrics(
        [(intersect, predicted + true - intersect, predicted, true)] * 2
    )
    fields = {'pred_sem_seg': prediction, 'gt_sem_seg': label}
    sample = {name: dict(data=data[None]) for name, data in fields.items()}
    metric.process({}, [sample, sample])
    found = metric.evaluate(2)
    assert {name: str(value) for name, value in found.items()} == {
        name: str(value) for name, value in expected.items()
    }


def views(*scores: torch.Tensor) -> list[SegDataSample]:
    """Views of one image as a model returns them, the first with its truth."""
    samples = [SegDataSample(seg_logits=PixelData(data=s)) for s in scores]
    for i, sample in enumerate(samples):
        sample.set_metainfo(dict(img_path=f'{i}.png'))
    samples[0].gt_sem_seg = PixelData(data=torch.zeros(1, *scores[0].shape[1:]))
    return samples


def merge(samples: list[SegDataSample], out_channels: int, threshold: float = 0.5) -> SegDataSample:
    head = SimpleNamespace(threshold=threshold)
    model = SimpleNamespace(module=SimpleNamespace(out_channels=out_channels, decode_head=head))
    (merged,) = MODELS.get('mmseg.SegTTAModel').merge_preds(model, [samples])
    assert merged.img_path == '0.png'
    assert 'gt_sem_seg' in merged
    return merged


def test_scores_of_views_are_those_of_the_prediction(generator):
    scores = [3 * torch.randn(4, 6, 5, generator=generator) for _ in range(3)]
    expected = torch.stack([s.double().softmax(0) for s in scores]).mean(0)
    merged = merge(views(*scores), 4)
    torch.testing.assert_close(
        merged.seg_logits.data.softmax(0), expected.float(), rtol=1e-5, atol=1e-7
    )
    assert torch.equal(merged.pred_sem_seg.data[0], expected.argmax(0))


@pytest.mark.parametrize('threshold', [0.5, 0.3])
def test_views_of_one_output_channel(threshold, generator):
    """MMSegmentation's own merging finds the object everywhere."""
    scores = [torch.rand(1, 6, 5, generator=generator) for _ in range(3)]
    expected = torch.stack(scores).mean(0)
    merged = merge(views(*scores), 1, threshold)
    torch.testing.assert_close(merged.seg_logits.data, expected)
    assert torch.equal(merged.pred_sem_seg.data, (expected > threshold).float())
    assert 0 < merged.pred_sem_seg.data.mean() < 1
