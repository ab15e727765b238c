"""What docs/watch_training.md says can be named in a config does its work there."""

import importlib.util
import json

import pytest
import torch

from tests.environments import ROOT
from tests.openmmlab.engine.tiny_run import checkpoint, load, train
from tests.pages import blocks

BLOCKS = [*blocks(ROOT / 'docs' / 'watch_training.md', 'python')]
WRITTEN = dict(tensorboard='events.out.tfevents.*', wandb='*.wandb', mlflow='mlflow.db')


def settings(word: str) -> dict:
    """What the block of the page with a word sets."""
    (block,) = [block for block in BLOCKS if word in block]
    names: dict = {}
    exec(block, names)
    return {key: value for key, value in names.items() if not key.startswith('__')}


def test_early_stopping(tmp_path):
    (hook,) = settings('EarlyStoppingHook')['custom_hooks']
    # The score of the tiny run is random; none can be a million better than the first.
    never = dict(hook, monitor='score', rule='greater', min_delta=1e6, patience=2)
    runner = train(tmp_path, max_iters=40, custom_hooks=[never])
    assert runner.iter == 6  # validations after 2, 4 and 6 iterations: one, and two no better


@pytest.mark.slow
def test_a_compiled_model_trains_to_the_same_weights(tmp_path):
    options = settings('aot_eager')
    same = dict(max_iters=2, randomness=dict(seed=0))
    runs = train(tmp_path / 'plain', **same), train(tmp_path / 'fast', **same, **options)
    plain, compiled = (load(checkpoint(run))['state_dict'] for run in runs)
    assert ['train_step' in vars(run.model) for run in runs] == [False, True]
    assert compiled.keys() == plain.keys()
    torch.testing.assert_close(compiled, plain)


@pytest.mark.parametrize('package', WRITTEN)
def test_loggers(package, tmp_path, monkeypatch):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f'{package} is not installed')
    monkeypatch.chdir(tmp_path)
    options = settings(f'pip install {package}')
    visualizer = dict(options['visualizer'], type='Visualizer', name=package)
    train(tmp_path / 'run', max_iters=2, visualizer=visualizer)
    (scalars,) = tmp_path.glob('run/*/vis_data/scalars.json')
    assert [json.loads(line)['step'] for line in scalars.read_text().splitlines()][:2] == [1, 2]
    assert any(path.stat().st_size for path in tmp_path.rglob(WRITTEN[package]))
