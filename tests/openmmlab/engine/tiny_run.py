"""A training of a second, and whether two of them are equal."""

import random
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner
from mmseg.registry import DATASETS, METRICS, MODELS
from torch import nn
from torch.utils.data import Dataset

from mmseg_pacbal.openmmlab.engine import build_runner, resume_from


@DATASETS.register_module()
class NoisyPoints(Dataset):
    reads = 0

    def __init__(self):
        self.metainfo = dict(classes=('a',))

    def __len__(self):
        return 10

    def __getitem__(self, index):
        NoisyPoints.reads += 1
        noise = random.random() + np.random.rand() + torch.rand(3)
        return dict(inputs=torch.full((3,), index / 10) + noise)


@MODELS.register_module()
class DropoutModel(BaseModel):
    def __init__(self):
        super().__init__()
        normed = nn.Linear(3, 8), nn.BatchNorm1d(8)
        self.layers = nn.Sequential(*normed, nn.Dropout(), nn.Linear(8, 1))

    def forward(self, inputs, mode='tensor'):
        out = self.layers(torch.stack(inputs))
        return dict(loss=(out**2).mean()) if mode == 'loss' else list(out)


@METRICS.register_module()
class RandomScore(BaseMetric):
    """Draws from the generators that training uses, as a metric that samples pixels would."""

    def process(self, data_batch, data_samples):
        self.results.append(random.random() + np.random.rand() + torch.rand(()).item())

    def compute_metrics(self, results):
        # Of the types that mmseg's IoUMetric gives.
        return dict(score=np.float32(sum(results)), per_class=np.array([25.0, 100.0]))


def config(work_dir: Path, max_iters: int = 8, **options) -> Config:
    loader = dict(
        batch_size=3,
        num_workers=0,
        dataset=dict(type='NoisyPoints'),
        sampler=dict(type='SeededSampler', shuffle=True),
    )
    cfg = Config(
        dict(
            default_scope='mmseg',
            runner_type='CheckedRunner',
            work_dir=str(work_dir),
            model=dict(type='DropoutModel'),
            train_dataloader=loader,
            val_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=False)),
            val_evaluator=dict(type='RandomScore'),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
            param_scheduler=[
                dict(type='LinearLR', start_factor=0.1, begin=0, end=3, by_epoch=False),
                dict(type='PolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False),
            ],
            train_cfg=dict(type='ResumableTrainLoop', max_iters=max_iters, val_interval=2),
            val_cfg=dict(),
            default_hooks=dict(
                checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=1),
                logger=dict(type='LoggerHook', interval=1),
            ),
            log_processor=dict(by_epoch=False),
            log_level='ERROR',
        )
    )
    if 'train_cfg' in options:
        cfg.pop('train_cfg')
    cfg.merge_from_dict(options)
    return cfg


def train(work_dir: Path, checkpoint: Path | None = None, **options) -> Runner:
    """A finished run; one that was interrupted, where ``checkpoint`` is given."""
    cfg = config(work_dir, **options)
    cfg.experiment_name = str(work_dir).replace('/', '_')  # of a log of its own
    runner = build_runner(cfg)
    if checkpoint:
        resume_from(runner, checkpoint)
    runner.train()
    # Ends workers here; the garbage collector would wait five seconds for each of them.
    runner.train_loop.dataloader_iterator = runner.train_loop.dataloader._iterator = None
    return runner


def checkpoint(runner: Runner, iteration: int | None = None) -> Path:
    return Path(runner.work_dir, f'iter_{iteration or runner.iter}.pth')


def load(path: Path) -> dict:
    return CheckpointLoader.load_checkpoint(str(path), map_location='cpu', logger='silent')


def history(runner: Runner, name: str) -> list[float]:
    return runner.message_hub.get_scalar(name).data[0].tolist()


def assert_same_run(ours: Runner, expected: Runner) -> None:
    for name in ('train/loss', 'train/lr', 'val/score'):
        assert history(ours, name) == history(expected, name)
    assert_same_checkpoint(checkpoint(ours), checkpoint(expected))


def assert_same_checkpoint(ours: Path, expected: Path) -> None:
    """Same weights, optimizer and schedule; same logged values, but for times."""
    a, b = load(ours), load(expected)
    assert a.keys() == b.keys()
    exactly = dict(rtol=0, atol=0)
    torch.testing.assert_close(a['state_dict'], b['state_dict'], **exactly)
    if 'optimizer' in b:  # not in the best checkpoint
        resumed, whole = a['optimizer'], b['optimizer']
        torch.testing.assert_close(resumed['state'], whole['state'], **exactly)
        assert resumed['param_groups'] == whole['param_groups']
    assert a.get('param_schedulers') == b.get('param_schedulers')
    a, b = a['message_hub'], b['message_hub']
    assert a['log_scalars'].keys() == b['log_scalars'].keys()
    for key in b['log_scalars']:
        if not key.endswith('time'):
            values = [hub['log_scalars'][key].data[0].tolist() for hub in (a, b)]
            assert values[0] == values[1], key
    assert a['runtime_info'].get('best_score') == b['runtime_info'].get('best_score')
