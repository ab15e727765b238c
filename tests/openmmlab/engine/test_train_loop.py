"""A resumed run is the run that was never interrupted, to the last bit."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, IterBasedTrainLoop, Runner
from mmseg.registry import DATA_SAMPLERS, DATASETS, METRICS, MODELS
from torch import nn
from torch.utils.data import BatchSampler, Dataset

from mmseg_pacbal.openmmlab.engine import build_runner, resume_from
from mmseg_pacbal.openmmlab.engine.hooks import AtomicCheckpointHook


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


@DATA_SAMPLERS.register_module()
class Batches(BatchSampler):
    pass


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
        return dict(score=sum(results))


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
    ours, expected = (load(checkpoint(runner)) for runner in (ours, expected))
    for name, weight in expected['state_dict'].items():
        assert torch.equal(ours['state_dict'][name], weight), name
    for index, state in expected['optimizer']['state'].items():
        momentum = ours['optimizer']['state'][index]['momentum_buffer']
        assert torch.equal(momentum, state['momentum_buffer'])
    assert ours['optimizer']['param_groups'] == expected['optimizer']['param_groups']
    assert ours['param_schedulers'] == expected['param_schedulers']


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> Runner:
    """A run with a drawn seed that nothing interrupted."""
    return train(tmp_path_factory.mktemp('whole'))


@pytest.mark.parametrize('iteration', [1, 3, 4, 7])
def test_resumed_run_is_the_uninterrupted_one(whole, iteration, tmp_path):
    """Neither has a seed in its config: the second one takes it from the checkpoint.

    The checkpoint of iteration 4 was written before the validation of iteration 4, and that of
    the last one before the last, which therefore are made up for.
    """
    assert_same_run(train(tmp_path, checkpoint(whole, iteration)), whole)


def test_last_validation_is_made_up_for(whole, tmp_path):
    resumed = train(tmp_path, checkpoint(whole, 8))
    assert not checkpoint(resumed).exists()  # it trained nothing
    assert history(resumed, 'val/score') == history(whole, 'val/score')
    assert len(history(resumed, 'val/score')) == 4


def test_validation_that_ended_is_not_repeated(tmp_path):
    best = {'default_hooks.checkpoint.save_best': 'score', 'default_hooks.checkpoint.rule': 'less'}
    first = train(tmp_path, max_iters=2, **best)
    assert 'best_score' in load(checkpoint(first))['message_hub']['runtime_info']
    again = train(tmp_path / 'again', checkpoint(first), max_iters=2, **best)
    assert history(again, 'val/score') == history(first, 'val/score')


def test_workers_change_nothing(whole, tmp_path):
    workers = {'train_dataloader.num_workers': 2, 'train_dataloader.persistent_workers': True}
    assert_same_run(train(tmp_path, checkpoint(whole, 5), **workers), whole)


def test_batches_before_the_checkpoint_are_not_read(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(NoisyPoints, 'reads', 0)
    without = dict(val_cfg=None, val_dataloader=None, val_evaluator=None)
    train(tmp_path, checkpoint(whole, 7), **without)
    assert NoisyPoints.reads == 3


@pytest.mark.parametrize('done', [4, 8])
def test_longer_run_follows_its_own_schedule(whole, done, tmp_path):
    fresh = train(tmp_path / 'fresh', max_iters=12)
    longer = train(tmp_path / 'longer', checkpoint(whole, done), max_iters=12)
    rates = history(longer, 'train/lr')
    assert rates[:done] == history(whole, 'train/lr')[:done]
    assert rates[done:] == history(fresh, 'train/lr')[done:]
    assert rates[-2] > rates[-1] == 0
    longer, fresh = (load(checkpoint(runner))['param_schedulers'] for runner in (longer, fresh))
    assert longer == fresh


def test_stock_parts_that_a_config_names_stay(tmp_path):
    stock = {
        'train_cfg.type': 'IterBasedTrainLoop',
        'train_dataloader.sampler.type': 'InfiniteSampler',
        'default_hooks.checkpoint.type': 'CheckpointHook',
    }
    runner = train(tmp_path, max_iters=2, **stock)
    assert type(runner.train_loop) is IterBasedTrainLoop
    assert type(runner.train_loop.dataloader.sampler) is InfiniteSampler
    assert not any(isinstance(hook, AtomicCheckpointHook) for hook in runner.hooks)


@pytest.mark.parametrize(
    'option',
    [
        {'train_dataloader.sampler.type': 'InfiniteSampler'},
        {'train_dataloader.batch_sampler': dict(type='Batches', drop_last=False)},
    ],
    ids=str,
)
def test_parts_that_do_not_fit_are_named(option, tmp_path):
    with pytest.raises(ValueError, match=r"train_cfg\.type='ResumableTrainLoop' needs train_data"):
        train(tmp_path, max_iters=2, **option)


def test_stock_runner_runs_the_loop(whole, tmp_path):
    resumed = train(tmp_path, checkpoint(whole, 3), runner_type='Runner')
    assert type(resumed) is Runner
    assert_same_run(resumed, whole)


def test_seed_of_the_sampler_is_kept(tmp_path):
    seed = {'train_dataloader.sampler.seed': 7}
    first = train(tmp_path, max_iters=4, **seed)
    again = train(tmp_path / 'again', checkpoint(first, 2), max_iters=4, **seed)
    assert again.train_loop.dataloader.sampler.seed == 7
    assert history(again, 'train/loss') == history(first, 'train/loss')


def test_another_run_keeps_its_best_checkpoint(tmp_path):
    """Which the checkpoint of the run that it continues from names."""
    save_best = {'default_hooks.checkpoint.save_best': 'score', 'randomness': dict(seed=0)}
    first = train(tmp_path / 'a', **save_best, **{'default_hooks.checkpoint.rule': 'greater'})
    files = sorted(path.name for path in (tmp_path / 'a').glob('*.pth'))
    other = {**save_best, 'default_hooks.checkpoint.rule': 'less', 'max_iters': 12}
    train(tmp_path / 'b', checkpoint(first), **other)
    assert sorted(path.name for path in (tmp_path / 'a').glob('*.pth')) == files
    assert files[0].startswith('best_score')
    assert len(list((tmp_path / 'b').glob('best_score*'))) == 1
