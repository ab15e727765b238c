"""A resumed run is the run that was never interrupted, to the last bit."""

import pytest
from mmengine.dataset import InfiniteSampler
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler

from mmseg_pacbal.openmmlab.engine.hooks import AtomicCheckpointHook
from tests.openmmlab.engine.tiny_run import (
    NoisyPoints,
    assert_same_run,
    checkpoint,
    history,
    load,
    train,
)


@DATA_SAMPLERS.register_module()
class Batches(BatchSampler):
    pass


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> Runner:
    """A run with a drawn seed that nothing interrupted."""
    return train(tmp_path_factory.mktemp('whole'))


WORKERS = {'train_dataloader.num_workers': 2, 'train_dataloader.persistent_workers': True}


@pytest.mark.parametrize(
    ('iteration', 'options'),
    [(1, {}), (4, {}), (7, {}), (5, WORKERS), (3, dict(runner_type='Runner'))],
    ids=str,
)
def test_resumed_run_is_the_uninterrupted_one(whole, iteration, options, tmp_path):
    """Neither has a seed in its config: the second one takes it from the checkpoint.

    The checkpoint of iteration 4 was written before the validation of iteration 4, which
    therefore is made up for.
    """
    resumed = train(tmp_path, checkpoint(whole, iteration), **options)
    assert_same_run(resumed, whole)
    assert (type(resumed) is Runner) == ('runner_type' in options)


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
