"""Configs in mmengine's pure Python style, cascades, and schedules of another length."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from mmseg.registry import MODELS
from torch import nn

from mmseg_pacbal import configs
from mmseg_pacbal.apps.explore.settings import loss_of_config
from mmseg_pacbal.configs import load_config
from mmseg_pacbal.openmmlab.inspection import boundary_loss
from tests.running import call_tool
from tests.visualization.tiny import write_checkpoint, write_config

# --- pure Python ---

PURE = """
from mmengine.config import read_base

with read_base():
    from .config import *

from mmcv.transforms import LoadImageFromFile
from mmengine.optim import PolyLR
from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs
from mmseg.evaluation import IoUMetric
from mmseg.models import EncoderDecoder, ResNetV1c
from torch.nn import SyncBatchNorm

from mmseg_pacbal.losses import BoundaryAwareLoss
from mmseg_pacbal.openmmlab.datasets import SyntheticVOCDataset
from mmseg_pacbal.openmmlab.heads import PACHead

model.update(type=EncoderDecoder)
model.backbone.update(type=ResNetV1c)
model.decode_head.update(type=PACHead)
model.decode_head.loss_decode.update(type=BoundaryAwareLoss)
pipeline = [dict(type=LoadImageFromFile), dict(type=LoadAnnotations), dict(type=PackSegInputs)]
val_dataloader.dataset.update(type=SyntheticVOCDataset, pipeline=pipeline)
test_dataloader.dataset.update(type=SyntheticVOCDataset, pipeline=pipeline)
test_evaluator = dict(type=IoUMetric, iou_metrics=['mIoU'])
param_scheduler = [dict(type=PolyLR, eta_min=0, power=0.9, begin=0, end=600, by_epoch=False)]
"""


@pytest.fixture(scope='module')
def pure(tmp_path_factory) -> tuple[Path, Path]:
    """A config that imports the classes of its parts, and a checkpoint."""
    folder = tmp_path_factory.mktemp('pure')
    named = write_config(folder)
    checkpoint = write_checkpoint(named)
    named.write_text(named.read_text().replace('custom_imports', 'imports_of_old_style'))
    path = folder / 'pure.py'
    path.write_text(PURE)
    return path, checkpoint


def test_a_config_may_import_its_classes(pure, tmp_path, capsys):
    path, checkpoint = pure
    cfg = load_config(str(path), dict(max_iters=2))
    assert cfg.param_scheduler[0].end == 2
    assert loss_of_config(cfg)['kernel_size'] == 15
    call_tool('train', path, '--check')
    assert 'val_dataloader' in capsys.readouterr().out
    call_tool('test', path, checkpoint, '--work-dir', tmp_path / 'w', '--out', tmp_path / 'masks')
    assert len(list((tmp_path / 'masks').glob('*.png'))) == 5
    image = next((path.parent / 'data' / 'JPEGImages').glob('*.jpg'))
    call_tool('predict', path, checkpoint, image, '--out', tmp_path / 'out')
    assert (tmp_path / 'out' / 'masks' / f'{image.stem}.png').is_file()


def test_options_can_be_used_again():
    options = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1))
    first, second = (load_config('configs/pac_bal_demo.py', options) for _ in range(2))
    assert first.optimizer == second.optimizer == dict(type='SGD', lr=0.1)
    assert options == dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1))


# --- a cascade ---


def test_the_weights_of_a_cascade_are_those_of_the_head_that_predicts():
    cfg = load_config(str(configs.config_path('pac_bal_demo.py')))
    head = cfg.model.decode_head
    first = dict(head, loss_decode=dict(head.loss_decode, kernel_size=7))
    cfg.model.decode_head = [first, head]
    assert loss_of_config(cfg)['kernel_size'] == 15
    model = nn.Module()
    model.decode_head = nn.ModuleList(MODELS.build(part) for part in (first, head))
    assert boundary_loss(model).map_args['kernel_size'] == 15


# --- another length of training ---


def rates(schedule: list[dict], length: int) -> list[float]:
    """The learning rate of every iteration, as mmengine computes it."""
    weight = nn.Parameter(torch.zeros(1))
    module = nn.ParameterList([weight])
    wrapper = build_optim_wrapper(module, dict(optimizer=dict(type='SGD', lr=0.1)))
    schedulers = [
        PARAM_SCHEDULERS.build(dict(part), default_args=dict(optimizer=wrapper))
        for part in schedule
    ]
    found = []
    for _ in range(length):
        found.append(wrapper.param_groups[0]['lr'])
        wrapper.update_params(module[0].sum())
        for scheduler in schedulers:
            scheduler.step()
    return found


def schedules(length: int) -> dict[str, list[dict]]:
    warm_up = dict(type='LinearLR', start_factor=0.1, begin=0, end=5, by_epoch=False)
    after = dict(begin=5, end=length, by_epoch=False)
    return {
        'cosine': [dict(type='CosineAnnealingLR', T_max=length, eta_min=0.001, by_epoch=False)],
        'warm-up, cosine': [
            warm_up,
            dict(type='CosineAnnealingLR', T_max=length - 5, eta_min=0.001, **after),
        ],
        'linear': [dict(type='LinearLR', start_factor=1, end_factor=0.1, **after)],
        'one cycle': [dict(type='OneCycleLR', eta_max=0.1, total_steps=length, by_epoch=False)],
        'warm-up, poly': [warm_up, dict(type='PolyLR', power=0.9, eta_min=0, **after)],
        'steps': [dict(type='MultiStepLR', milestones=[8, 15], by_epoch=False)],
    }


@pytest.mark.parametrize('kind', schedules(20))
def test_what_ends_with_training_follows_its_length(kind, tmp_path):
    cfg = dict(max_iters=20, train_cfg=dict(max_iters=20), param_scheduler=schedules(20)[kind])
    Config(cfg).dump(tmp_path / 'a.py')
    changed = load_config(str(tmp_path / 'a.py'), dict(max_iters=30))
    assert changed.train_cfg.max_iters == 30
    assert rates(changed.param_scheduler, 30) == rates(schedules(30)[kind], 30)


def test_a_warm_up_longer_than_the_training_is_named(capsys):
    schedule = schedules(20)['warm-up, poly']
    cfg = Config(dict(max_iters=20, train_cfg=dict(max_iters=20), param_scheduler=schedule))
    configs.change_settings(cfg, dict(max_iters=4))
    assert cfg.param_scheduler[0].end == 5
    said = capsys.readouterr().out
    assert 'param_scheduler.0.end = 5 lies beyond the 4 iterations' in said
    assert 'give param_scheduler.0.end=1\n' in said
    configs.change_settings(cfg, dict(max_iters=10))
    assert 'lies beyond' not in capsys.readouterr().out


@pytest.mark.parametrize(
    'schedule',
    [
        dict(type='CosineAnnealingLR', T_max=20, by_epoch=True),
        dict(type='CosineAnnealingLR', T_max=10, by_epoch=False),  # one of several cycles
    ],
)
def test_what_ends_otherwise_stays(schedule):
    cfg = Config(dict(max_iters=20, train_cfg=dict(max_iters=20), param_scheduler=[schedule]))
    configs.change_settings(cfg, dict(max_iters=30))
    assert dict(cfg.param_scheduler[0]) == schedule
