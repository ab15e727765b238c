"""What docs/watch_training.md says can be named in a config does its work there."""

import importlib.util
import json
import re
from contextlib import nullcontext

import pytest
import torch
from mmengine.config import Config

from mmseg_pacbal.openmmlab.engine import runner
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
    trained = train(tmp_path, max_iters=40, custom_hooks=[never])
    assert trained.iter == 6  # validations after 2, 4 and 6 iterations: one, and two no better


@pytest.mark.slow
def test_a_compiled_model_trains_to_the_same_weights(tmp_path):
    options = settings('aot_eager')
    same = dict(max_iters=2, randomness=dict(seed=0))
    runs = train(tmp_path / 'plain', **same), train(tmp_path / 'fast', **same, **options)
    plain, compiled = (load(checkpoint(run))['state_dict'] for run in runs)
    assert ['train_step' in vars(run.model) for run in runs] == [False, True]
    assert compiled.keys() == plain.keys()
    torch.testing.assert_close(compiled, plain)


@pytest.mark.parametrize(
    ('version', 'device', 'options', 'refused'),
    [
        ('2.13.0+cpu', 'cpu', True, True),
        ('2.13.0+cpu', 'cpu', dict(mode='reduce-overhead'), True),
        ('2.13.0+cpu', 'cpu', dict(backend='aot_eager'), False),
        ('2.13.0+cpu', 'cpu', False, False),
        ('2.13.0+cu130', 'cuda', True, False),
        ('2.14.1+cpu', 'cpu', True, False),
    ],
)
def test_compiler_with_gradients_of_zero(version, device, options, refused, monkeypatch):
    monkeypatch.setattr(torch, '__version__', version)
    monkeypatch.setattr(runner, 'get_device', lambda: device)
    expected = pytest.raises(ValueError, match=f'zero on a CPU with torch {re.escape(version)}')
    with expected if refused else nullcontext():
        runner.check_compiler(Config(dict(compile=options)))


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
