"""Training with the hook is training without it, and what it logs is what the model computes."""

import random
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmseg_pacbal import BoundaryVisualizationHook, boundary_weight_map
from mmseg_pacbal.openmmlab.engine.hooks.boundary_visualization_hook import (
    mean_weight,
    preserve_state,
)
from mmseg_pacbal.openmmlab.inspection import boundary_loss, inspect_sample
from mmseg_pacbal.visualization import panel_figure
from mmseg_pacbal.visualization.panels import rendered
from tests.visualization.tiny import write_config

BAL = dict(type='BoundaryAwareLoss', kernel_size=15, downsample=2, normalize='mean')
WEIGHT = r'$E_G / \overline{E_G}$'


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp('tiny')


def train(folder: Path, name: str, hook: dict | None, loss: dict = BAL, **options) -> Runner:
    """Four iterations of the demo's model on small crops."""
    cfg = Config.fromfile(write_config(folder, loss))
    cfg.merge_from_dict(
        {
            'work_dir': str(folder / name),
            'experiment_name': f'{folder.name}_{name}',
            'train_cfg.max_iters': 4,
            'train_dataloader.batch_size': 2,
            'model.data_preprocessor.size': (48, 48),
            'visualizer.vis_backends': [
                dict(type='LocalVisBackend'),
                dict(type='TensorboardVisBackend'),
            ],
            'visualizer.name': f'{folder.name}_{name}',
            'default_hooks.checkpoint.interval': 2,
            **options,
        }
    )
    for dataset in cfg.train_dataloader.dataset.datasets:
        dataset.pipeline[2].crop_size = (48, 48)
    cfg.custom_hooks = [hook] if hook else []
    runner = Runner.from_cfg(cfg)
    runner.train()
    runner.visualizer.close()
    return runner


@pytest.fixture(scope='module')
def watched(folder) -> Runner:
    hook = dict(type='BoundaryVisualizationHook', interval=2, num_images=2)
    return train(folder, 'watched', hook)


def events(runner: Runner):
    pytest.importorskip('tensorboard', reason='reads what TensorBoard would show')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (file,) = Path(runner.work_dir).rglob('events.out.tfevents.*')
    accumulator = EventAccumulator(str(file), size_guidance=dict(images=0, scalars=0))
    return accumulator.Reload()


def test_training_is_bit_equal_without_the_hook(folder, watched):
    plain = train(folder, 'plain', None)
    expected, actual = plain.model.state_dict(), watched.model.state_dict()
    assert any('running_mean' in name for name in expected)
    assert all(torch.equal(expected[name], actual[name]) for name in expected)
    modes = [[m.training for m in runner.model.modules()] for runner in (plain, watched)]
    assert modes[0] == modes[1]


def shown(runner: Runner, index: int, *names: str) -> np.ndarray:
    """The picture that the model gives now, BGR."""
    dataset = runner.val_loop.dataloader.dataset
    row = inspect_sample(runner.model, dataset, index, own_loss=True)
    meta = dataset.metainfo['classes'], dataset.metainfo['palette']
    return rendered(panel_figure([row], *meta, *names))[..., ::-1]


def decoded(picture) -> np.ndarray:
    data = np.frombuffer(picture.encoded_image_string, np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def test_tensorboard_holds_the_pictures_of_the_model_and_the_mean_weight(watched):
    logged = events(watched)
    tags = ['boundary_2011_000001', 'boundary_2011_000003']
    assert [tag for tag in logged.Tags()['images'] if tag.startswith('boundary')] == tags
    for tag, index in zip(tags, (0, 2), strict=True):
        pictures = logged.Images(tag)
        assert [picture.step for picture in pictures] == [0, 2, 4]
        expected = shown(watched, index, rf'{WEIGHT} $\cdot$ cross entropy', WEIGHT)
        assert np.array_equal(decoded(pictures[-1]), expected)
    first, last = (logged.Images(tags[0])[i].encoded_image_string for i in (0, -1))
    assert first != last
    files = sorted(Path(watched.work_dir).rglob('vis_image/*.png'))
    names = [f'boundary_2011_00000{image}_{step}.png' for image in (1, 3) for step in (0, 2, 4)]
    assert [file.name for file in files] == names

    scalars = logged.Scalars('mean_E_G')
    assert [scalar.step for scalar in scalars] == [2, 4]
    assert all(0.5 < scalar.value < 20 for scalar in scalars)
    assert scalars[0].value != scalars[1].value  # another batch


def test_mean_weight_counts_pixels_that_are_not_void(watched):
    samples = [watched.val_loop.dataloader.dataset[i]['data_samples'] for i in range(3)]
    loss = boundary_loss(watched.model)
    assert loss.normalize == 'mean'
    values = []
    for sample in samples:
        label = sample.gt_sem_seg.data
        values.append(boundary_weight_map(label, kernel_size=15, downsample=2)[label != 255])
    expected = torch.cat(values).double().mean().item()
    assert mean_weight(loss, samples, 255) == pytest.approx(expected, rel=1e-6)
    for sample in samples:
        sample.gt_sem_seg.data.fill_(255)
    assert mean_weight(loss, samples, 255) == 0


@pytest.mark.slow
def test_baseline_is_watched_too(folder):
    hook = dict(type='BoundaryVisualizationHook', interval=4, num_images=1)
    runner = train(folder, 'baseline', hook, dict(type='CrossEntropyLoss'))
    logged = events(runner)
    assert [scalar.step for scalar in logged.Scalars('mean_E_G')] == [4]
    picture = logged.Images('boundary_2011_000001')[-1]
    assert np.array_equal(decoded(picture), shown(runner, 0, 'cross entropy'))


@pytest.mark.parametrize(
    ('loss', 'options', 'message'),
    [
        pytest.param(
            *(dict(type='DiceLoss'), {}, 'which DiceLoss does not give'), marks=pytest.mark.slow
        ),
        (BAL, dict(val_cfg=None, val_dataloader=None, val_evaluator=None), 'val_cfg is None'),
    ],
)
def test_what_cannot_be_drawn_ends_before_training(folder, tmp_path, loss, options, message):
    hook = dict(type='BoundaryVisualizationHook')
    with pytest.raises(ValueError, match=message):
        train(folder, tmp_path.name, hook, loss, **options)
    assert not list((folder / tmp_path.name).glob('*.pth'))


@pytest.mark.parametrize('name', ['interval', 'num_images'])
@pytest.mark.parametrize('value', [0, -1, 1.5, True, '2'])
def test_arguments(name, value):
    with pytest.raises(ValueError, match=f'{name} must be a positive integer, but got {value!r}'):
        BoundaryVisualizationHook(**{name: value})


def test_preserve_state_restores_modes_and_random_states():
    def draw() -> tuple:
        return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()

    model = torch.nn.Sequential(torch.nn.BatchNorm2d(2), torch.nn.Dropout()).train()
    model[0].eval()  # as a frozen norm is
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(1)
    expected = draw()
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(1)
    with pytest.raises(KeyError), preserve_state(model):
        draw()
        model.eval()
        raise KeyError
    assert draw() == expected
    assert [m.training for m in model.modules()] == [True, False, True]
