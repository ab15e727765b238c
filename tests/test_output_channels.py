"""Several output channels, one, and one with another threshold, through every door.

What is expected is computed here from the logits of the model: MMSegmentation predicts class 1 of
one channel where the sigmoid exceeds the head's threshold, which is 0.3 if none is given.
"""

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS
from PIL import Image
from torch import Tensor, nn

from mmseg_pacbal import boundary_weight_map, configs
from mmseg_pacbal.apps.explore.settings import loss_of_config
from mmseg_pacbal.openmmlab.engine.hooks import boundary_visualization_hook as hook_module
from mmseg_pacbal.openmmlab.inference import init_inferencer
from mmseg_pacbal.openmmlab.inspection import inspect_sample, weigh_sample
from mmseg_pacbal.openmmlab.losses import check_losses
from tests.metrics.reference import boundary_iou_reference, contour_reference, f1_reference
from tests.running import call_tool, mistake
from tests.visualization.tiny import write_checkpoint, write_config

SEVERAL, ONE = dict(num_classes=7), dict(num_classes=2, out_channels=1)
VARIANTS = {
    'several channels': SEVERAL,
    'one channel': dict(ONE, threshold=0.5),
    'one channel, threshold 0.3': ONE,
}
IMAGES = 5


class Variant(NamedTuple):
    """A model, and of each test image its probabilities, its prediction and its label."""

    config: Path
    checkpoint: Path
    model: nn.Module
    probabilities: list[Tensor]  # (C, H, W)
    predictions: list[np.ndarray]
    labels: list[np.ndarray]

    def run(self, tool: str, *args: object) -> None:
        call_tool(tool, self.config, self.checkpoint, *args)

    def predict(self, probabilities: Tensor) -> np.ndarray:
        if len(probabilities) > 1:
            return probabilities.argmax(0).numpy()
        threshold = Config.fromfile(self.config).model.decode_head.get('threshold') or 0.3
        return (probabilities[0] > threshold).long().numpy()


def probabilities(model: nn.Module, image: Tensor) -> Tensor:
    x = (image[None].flip(1) - model.data_preprocessor.mean) / model.data_preprocessor.std
    with torch.no_grad():
        logits = model.encode_decode(x, [dict(img_shape=x.shape[2:])])[0]
    return logits.sigmoid() if len(logits) == 1 else logits.softmax(0)


def choose_two_classes(cfg: Config) -> None:
    for name in ('train', 'val', 'test'):
        for _, dataset in configs.datasets(cfg, f'{name}_dataloader'):
            dataset.metainfo = dict(classes=('background', 'disk'))


@pytest.fixture(scope='module', params=VARIANTS)
def variant(request, tmp_path_factory) -> Variant:
    head = VARIANTS[request.param]
    one = head['num_classes'] == 2
    loss = dict(type='BoundaryAwareLoss', kernel_size=15, normalize='mean', use_sigmoid=one)
    config = write_config(tmp_path_factory.mktemp('variant'), loss)
    cfg = Config.fromfile(config)
    cfg.model.decode_head.update(head)
    if one:
        choose_two_classes(cfg)
    flips = [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)]
    load = [dict(type='LoadAnnotations')], [dict(type='PackSegInputs')]
    augment = dict(type='TestTimeAug', transforms=[flips, *load])
    cfg.tta_pipeline = [dict(type='LoadImageFromFile'), augment]
    cfg.tta_model = dict(type='SegTTAModel')
    metrics = ('IoUMetric', 'BoundaryMetric', 'CalibrationMetric')
    cfg.test_evaluator = [dict(type=name) for name in metrics]
    cfg.dump(config)
    checkpoint = write_checkpoint(config)
    model = init_inferencer(config, checkpoint, device='cpu').model
    dataset = DATASETS.build(Config.fromfile(config).test_dataloader.dataset)
    samples = [dataset[i] for i in range(IMAGES)]
    found = Variant(config, checkpoint, model, [], [], [])
    for sample in samples:
        found.probabilities.append(probabilities(model, sample['inputs'].float()))
        found.predictions.append(found.predict(found.probabilities[-1]))
        found.labels.append(sample['data_samples'].gt_sem_seg.data[0].numpy())
    assert len(np.unique(found.predictions)) > 1
    return found


def mean_iou(predictions: list[np.ndarray], labels: list[np.ndarray]) -> float:
    prediction, label = (
        np.concatenate([m.ravel() for m in maps]) for maps in (predictions, labels)
    )
    prediction, label = prediction[label != 255], label[label != 255]
    present = np.union1d(prediction, label)
    scores = [
        ((prediction == c) & (label == c)).sum() / ((prediction == c) | (label == c)).sum()
        for c in present
    ]
    return 100 * float(np.mean(scores))


def calibration_error(found: Variant, views: list[Tensor], predictions: list[np.ndarray]) -> float:
    """ECE of 15 bins: confidence is the probability of the predicted class."""
    sure, right = [], []
    for p, prediction, label in zip(views, predictions, found.labels, strict=True):
        both = torch.cat([1 - p, p]) if len(p) == 1 else p
        confidence = both.gather(0, torch.from_numpy(prediction)[None])[0].double().numpy()
        sure.append(confidence[label != 255])
        right.append((prediction == label)[label != 255])
    sure, right = np.concatenate(sure), np.concatenate(right)
    bins = np.ceil(sure * 15).clip(1)
    return sum(abs((sure - right)[bins == m].sum()) for m in range(1, 16)) / len(sure)


def record(folder: Path) -> dict:
    return json.loads(next(iter(folder.glob('*/*.json'))).read_text())


@pytest.mark.slow
def test_check_accepts_it(variant):
    call_tool('train', variant.config, '--check')


@pytest.mark.slow
def test_training_tests_and_predicts(variant, tmp_path, capsys):
    """A step with pictures by the hook, then the metrics of an evaluation and its masks."""
    options = ('train_cfg.max_iters=1', 'train_dataloader.batch_size=2', 'crop_size=64,64')
    call_tool('train', variant.config, '--work-dir', tmp_path / 'train', '--cfg-options', *options)
    folders = ('--work-dir', tmp_path / 'test', '--out', tmp_path / 'masks')
    variant.run('test', *folders)
    result, num_classes = record(tmp_path / 'test'), variant.model.num_classes
    maps = list(zip(variant.predictions, variant.labels, strict=True))
    assert result['mIoU'] == pytest.approx(mean_iou(*zip(*maps, strict=True)), abs=0.011)
    bands = sum(boundary_iou_reference(*pair, num_classes, 0.02, 255) for pair in maps)
    with np.errstate(invalid='ignore'):
        scores = bands[0] / (bands[1] + bands[2] - bands[0])
    assert result['mBIoU'] == pytest.approx(100 * np.nanmean(scores), abs=0.011)
    contours = sum(contour_reference(*pair, num_classes, 0.0075, 255) for pair in maps)
    assert result['mBF1'] == pytest.approx(100 * np.nanmean(f1_reference(contours)), abs=0.011)
    error = calibration_error(variant, variant.probabilities, variant.predictions)
    assert result['all_ECE'] == pytest.approx(error, abs=2e-4)
    masks = sorted((tmp_path / 'masks').glob('*.png'))
    found = [np.array(Image.open(path)) for path in masks]
    assert all(map(np.array_equal, found, variant.predictions))


@pytest.mark.slow
def test_mean_of_two_views(variant, tmp_path):
    variant.run('test', '--tta', '--work-dir', tmp_path)
    dataset = DATASETS.build(Config.fromfile(variant.config).test_dataloader.dataset)
    views = []
    for index, plain in enumerate(variant.probabilities):
        flipped = dataset[index]['inputs'].float().flip(2)
        views.append((plain + probabilities(variant.model, flipped).flip(2)) / 2)
    predictions = [variant.predict(view) for view in views]
    result = record(tmp_path)
    assert result['mIoU'] == pytest.approx(mean_iou(predictions, variant.labels), abs=0.011)
    error = calibration_error(variant, views, predictions)
    assert result['all_ECE'] == pytest.approx(error, abs=2e-4)


@pytest.mark.slow
def test_predict_and_pictures(variant, tmp_path):
    data = Path(Config.fromfile(variant.config).test_dataloader.dataset.data_root)
    names = (data / 'ImageSets' / 'Segmentation' / 'val.txt').read_text().split()
    image = data / 'JPEGImages' / f'{names[1]}.jpg'
    variant.run('predict', image, '--out', tmp_path, '--device', 'cpu')
    mask = np.array(Image.open(tmp_path / 'masks' / f'{names[1]}.png'))
    assert np.array_equal(mask, variant.predictions[1])
    for figure in ('weights', 'loss', 'qualitative'):
        out = tmp_path / f'{figure}.png'
        variant.run('visualize', '--figure', figure, '--indices', 1, '--out', out)
        assert out.stat().st_size
    dataset = DATASETS.build(Config.fromfile(variant.config).test_dataloader.dataset)
    row = inspect_sample(variant.model, dataset, 1, own_loss=True)
    label = torch.from_numpy(variant.labels[1]).long()[None]
    weight = boundary_weight_map(label, kernel_size=15)
    weight = weight / weight[label != 255].mean()
    p = variant.probabilities[1]
    both = torch.cat([1 - p, p]) if len(p) == 1 else p
    plain = -both.gather(0, label.where(label != 255, 0))[0].log() * (label[0] != 255)
    assert np.array_equal(row.prediction, variant.predictions[1])
    np.testing.assert_allclose(row.loss, (weight[0] * plain).numpy(), rtol=1e-3, atol=1e-4)
    row = inspect_sample(variant.model, dataset, 1)
    np.testing.assert_allclose(row.loss, plain.numpy(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(weigh_sample(variant.model, dataset[1]).weight, weight[0], rtol=1e-5)


def test_hook_draws_what_is_predicted(variant, monkeypatch):
    dataset = DATASETS.build(Config.fromfile(variant.config).test_dataloader.dataset)
    drawn, images = [], {}
    monkeypatch.setattr(hook_module, 'panel_figure', lambda rows, *_: drawn.extend(rows))
    monkeypatch.setattr(hook_module, 'rendered', lambda figure: figure)
    runner = SimpleNamespace(
        model=variant.model,
        iter=0,
        val_loop=SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset)),
        visualizer=SimpleNamespace(add_image=lambda name, image, step: images.update({name: step})),
    )
    hook_module.BoundaryVisualizationHook(num_images=IMAGES).before_train(runner)
    assert len(images) == IMAGES
    assert all(map(np.array_equal, [row.prediction for row in drawn], variant.predictions))


@pytest.mark.slow
def test_analyze_errors(variant, tmp_path):
    variant.run('analyze_errors', '--out', tmp_path / 'out', '--work-dir', tmp_path / 'work')
    lines = list(csv.DictReader((tmp_path / 'out' / 'regions.csv').open()))
    (mean,) = [x for x in lines if (x['region'], x['class']) == ('all', 'mean')]
    expected = mean_iou(variant.predictions, variant.labels)
    assert float(mean['IoU']) == pytest.approx(expected, abs=0.011)
    table = (tmp_path / 'out' / 'calibration.md').read_text().splitlines()
    (cells,) = [line.split('|') for line in table if '| all |' in line]
    error = calibration_error(variant, variant.probabilities, variant.predictions)
    assert float(cells[5]) == pytest.approx(error, abs=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize('variant', ['one channel, threshold 0.3'], indirect=True)
def test_export(variant, capsys):  # of several channels: tests/tools/test_export_onnx.py
    for name in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(name, reason='ONNX export needs mmseg-pacbal[onnx]')
    variant.run('export_onnx')
    assert 'class 1 where sigmoid(logits) > 0.3,' in capsys.readouterr().out


def test_page_of_sliders_copies_the_loss(variant):
    loss = loss_of_config(Config.fromfile(variant.config))
    assert loss['use_sigmoid'] == (variant.model.out_channels == 1)


@pytest.mark.parametrize('kind', ['PACHead', 'FCNHead', 'LeanHead'])
@pytest.mark.parametrize('name', VARIANTS)
def test_head(name, kind, generator, make_samples):
    """The loss of a head is that of its enlarged logits."""
    options = dict(VARIANTS[name], in_channels=4, channels=4)
    options['head' if kind == 'LeanHead' else 'type'] = 'FCNHead' if kind == 'LeanHead' else kind
    one = options['num_classes'] == 2
    loss = dict(type='BoundaryAwareLoss', use_sigmoid=one)
    cfg = dict(dict(type=kind, loss_decode=loss), **options)
    if kind == 'LeanHead' and one:
        with pytest.raises(ValueError, match='has out_channels=1, of which softmax is always 1'):
            MODELS.build(cfg)
        return
    head = MODELS.build(cfg)
    check_losses(head)
    label = torch.randint(options['num_classes'], (2, 12, 16), generator=generator)
    label[:, :2] = 255
    logits = torch.randn(2, head.out_channels, 6, 8, generator=generator)
    found = head.loss_by_feat(logits, make_samples(label))
    large = nn.functional.interpolate(logits, (12, 16), mode='bilinear', align_corners=False)
    p = large.sigmoid() if one else large.softmax(1)
    both = torch.cat([1 - p, p], 1) if one else p
    plain = -both.gather(1, label.where(label != 255, 0)[:, None])[:, 0].log() * (label != 255)
    expected = (boundary_weight_map(label) * plain).mean()
    torch.testing.assert_close(found['loss_bal'], expected, rtol=1e-4, atol=0)


BAL, CE = dict(type='BoundaryAwareLoss'), dict(type='CrossEntropyLoss')
FOCAL = dict(type='SoftmaxFocalLoss')
TWO = dict(num_classes=2)


@pytest.mark.parametrize(
    ('head', 'loss', 'message'),
    [
        (ONE, BAL, 'BoundaryAwareLoss over softmax'),
        (ONE, CE, 'CrossEntropyLoss over softmax'),
        (ONE, [dict(CE, use_sigmoid=True), CE], 'CrossEntropyLoss over softmax'),
        (ONE, FOCAL, 'SoftmaxFocalLoss over softmax'),
        (ONE, dict(BAL, pixel_loss=FOCAL), 'BoundaryAwareLoss over softmax'),
        (ONE, dict(type='TverskyLoss'), 'TverskyLoss over softmax'),
        (ONE, dict(type='LovaszLoss', reduction='none'), 'LovaszLoss over softmax'),
        (ONE, dict(type='DiceLoss', use_sigmoid=False), 'DiceLoss over softmax'),
        (TWO, dict(BAL, use_sigmoid=True), 'out_channels=2 and BoundaryAwareLoss with use_sigmoid'),
        (TWO, dict(CE, use_sigmoid=True), 'out_channels=2 and CrossEntropyLoss with use_sigmoid'),
        (dict(num_classes=1), CE, 'num_classes is 1, so that there is nothing to tell apart'),
        (dict(ONE, num_classes=1), dict(CE, use_sigmoid=True), 'num_classes is 1'),
        # What is right.
        (ONE, dict(BAL, use_sigmoid=True), None),
        (ONE, dict(BAL, pixel_loss=dict(CE, use_sigmoid=True)), None),
        (ONE, [dict(CE, use_sigmoid=True), dict(type='DiceLoss')], None),
        (ONE, dict(type='LovaszLoss', loss_type='binary', reduction='none'), None),
        (TWO, [CE, dict(type='DiceLoss')], None),  # as MMSegmentation's configs of a U-Net
        (SEVERAL, dict(CE, use_sigmoid=True), None),  # several labels a pixel
        (SEVERAL, [BAL, FOCAL], None),
    ],
    ids=str,
)
def test_losses_that_do_not_go_with_the_channels(head, loss, message):
    cfg = dict(type='FCNHead', in_channels=4, channels=4, loss_decode=loss)
    built = MODELS.build(dict(cfg, **head))
    if message is None:
        check_losses(nn.ModuleDict(dict(decode_head=built)))
        return
    with pytest.raises(ValueError, match=rf'^decode_head[. ].*{message}'):
        check_losses(nn.ModuleDict(dict(decode_head=built)))


def test_heads_with_labels_of_their_own_pass():
    cfg = dict(type='STDCHead', boundary_threshold=0.1, in_channels=4, channels=4, num_classes=1)
    losses = [dict(CE, use_sigmoid=True, loss_name='loss_ce'), dict(type='DiceLoss')]
    check_losses(MODELS.build(dict(cfg, num_convs=1, loss_decode=losses)))


@pytest.mark.slow
@pytest.mark.parametrize(('channels', 'sigmoid'), [(1, False), (2, True)])
def test_check_refuses_it_in_one_sentence(channels, sigmoid, tmp_path, capsys):
    config = write_config(tmp_path, dict(CE, use_sigmoid=sigmoid))
    cfg = Config.fromfile(config)
    cfg.model.decode_head.update(num_classes=2, out_channels=channels)
    choose_two_classes(cfg)
    cfg.dump(config)
    for args in (['--check'], ['--work-dir', tmp_path / 'work']):
        assert f'decode_head has out_channels={channels}' in mistake(capsys, 'train', config, *args)
