"""The study runner as a user runs it, on generated data."""

import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.apps.study.stand_ins import wait_until
from tests.environments import ROOT
from tests.running import DEMO, run_tool, tool_command

OPTIONS = [
    'max_iters=6',
    'train_cfg.val_interval=6',
    'train_dataloader.batch_size=2',
    'default_hooks.checkpoint.interval=2',
    'default_hooks.logger.interval=1',
    'val_dataloader.dataset.indices=2',
    'test_dataloader.dataset.indices=2',
]

pytestmark = pytest.mark.slow


@pytest.fixture
def study(tmp_path) -> Path:
    path = tmp_path / 'mine.yml'
    rows = dict(
        base=dict(config=str(DEMO)),
        other=dict(config=str(DEMO), options={'optim_wrapper.optimizer.lr': 0.01}),
    )
    path.write_text(yaml.safe_dump(dict(baseline='base', rows=rows)))
    return path


def args(study: Path, *own: str) -> list:
    return [study, '--seeds', '0', *own, '--dataset', 'demo', '--cfg-options', *OPTIONS]


def run(study: Path, *own: str, options: Sequence[str] = ()) -> subprocess.CompletedProcess:
    return run_tool('run_study', *args(study, *own), *options, cwd=study.parent)


def done(study: Path, *own: str, options: Sequence[str] = ()) -> str:
    """What a command prints that ends without an error."""
    result = run(study, *own, options=options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def refused(study: Path, *own: str, options: Sequence[str] = ()) -> str:
    """The error of a command."""
    result = run(study, *own, options=options)
    assert result.returncode == 1
    return result.stderr


def start(study: Path, *options: str) -> subprocess.Popen:
    """A command that can be killed with all that it starts, as Ctrl-C in a terminal reaches it."""
    return subprocess.Popen(
        tool_command('run_study', *args(study, '--rows', 'base'), *options),
        cwd=study.parent,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def first(study: Path) -> Path:
    """The folder of the first run."""
    return study.parent / 'work_dirs' / 'studies' / 'mine' / 'demo' / 'base-seed0'


def records(study: Path) -> dict[str, dict]:
    folder = study.parent / 'results' / 'mine' / 'demo'
    return {path.stem: json.loads(path.read_text()) for path in folder.glob('*.json')}


def test_runs_once_and_reports(study):
    assert '4 of 4 runs finished' in done(study, '1')  # a second seed
    made = records(study)
    assert sorted(made) == ['base-seed0', 'base-seed1', 'other-seed0', 'other-seed1']
    for record in made.values():
        assert {'mIoU', 'mBIoU', 'mBF1', 'trimap_mIoU@4'} <= set(record['metrics'])
        assert record['iterations'] == 6
        assert record['seconds_per_iteration'] > 0
        assert record['environment']['torch']
    folder = study.parent / 'results' / 'mine' / 'demo'
    miou = [made[f'base-seed{seed}']['metrics']['mIoU'] for seed in (0, 1)]
    assert f'| base | 2 | {sum(miou) / 2:.2f} ±' in (folder / 'table.md').read_text()
    assert (folder / 'plot.png').read_bytes().startswith(b'\x89PNG')

    logs = sorted((study.parent / 'work_dirs').rglob('*.log'))
    done(study, '1')
    assert sorted((study.parent / 'work_dirs').rglob('*.log')) == logs  # nothing ran again

    # The same runs are taken over.
    done(study, '1', '--results', 'results/copy/demo', '--work-dir', 'elsewhere')
    assert list((study.parent / 'elsewhere').rglob('*.pth')) == []
    assert len(list((study.parent / 'results' / 'copy' / 'demo').glob('*.json'))) == 4


def test_continues_after_a_kill(study):
    runner = start(study)
    wait_until((first(study) / 'iter_2.pth').exists, 240)
    os.killpg(runner.pid, signal.SIGKILL)
    runner.wait()
    assert not records(study)

    done(study, '--rows', 'base')
    assert list(records(study)) == ['base-seed0']
    log = (first(study) / 'study' / 'log.txt').read_text()
    assert 'resumed epoch' in log  # the training that was killed went on


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_with_75_and_a_checkpoint(number, study):
    intervals = ['train_cfg.val_interval=200', 'default_hooks.checkpoint.interval=99']
    runner, folder = start(study, 'max_iters=200', *intervals), first(study)
    wait_until(lambda: list(folder.glob('*/vis_data/scalars.json')), 240)
    os.killpg(runner.pid, number)
    assert runner.wait(timeout=120) == 75
    (checkpoint,) = folder.glob('*.pth')
    assert 'stopped by SIGTERM after iteration' in (folder / 'study' / 'log.txt').read_text()
    assert 0 < int(checkpoint.stem.removeprefix('iter_')) < 99
    assert not list(study.parent.rglob('*.lease'))
    assert not records(study)


@pytest.mark.skipif(importlib.util.find_spec('ray') is None, reason='Ray is not installed')
@pytest.mark.long
def test_ray_writes_the_same_records(study):
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    for name, options in (('here', []), ('ray', ['--ray', 'local'])):
        places = ['--results', f'{name}/mine/demo', '--work-dir', f'work_{name}']
        arguments = args(study, '--rows', 'base', *places, *options)
        result = run_tool('run_study', *arguments, cwd=study.parent, env=environment)
        assert result.returncode == 0, result.stderr
        assert '1 of 1 runs finished' in result.stdout
    here, ray = (
        json.loads((study.parent / name / 'mine' / 'demo' / 'base-seed0.json').read_text())
        for name in ('here', 'ray')
    )
    assert here.keys() == ray.keys()
    for key in here.keys() - {'seconds_per_iteration'}:
        assert here[key] == ray[key], key


@pytest.mark.long
def test_two_processes_train_in_bfloat16(study):
    done(study, '--rows', 'base', '--processes', '2', '--amp')
    folder = first(study)
    config = (folder / 'study' / 'config.py').read_text()
    assert "type='BFloat16OptimWrapper'" in config
    assert config.endswith('# With 2 processes.\n')
    (log,) = (path for path in folder.glob('*/*.log') if path.parents[1] == folder)
    assert 'Distributed training: True' in log.read_text()
    error = refused(study, '--rows', 'base', '--processes', '2')
    assert 'is the record of a run with other settings' in error


def test_the_hooks_of_the_plan_and_a_test_set_that_is_missing(study):
    """The options of docs/study_plan.md, as printed there; a test set corrected before training."""
    page = (ROOT / 'docs' / 'study_plan.md').read_text()
    (hooks,) = {*re.findall(r'--cfg-options (".*")$', page, re.MULTILINE)}
    wrong = 'test_dataloader.dataset.data_prefix.img_path=nowhere'
    hooks = [*shlex.split(hooks), 'train_cfg.max_iters=4']
    error = refused(study, options=[*hooks, wrong])
    assert error.count('test_dataloader: ') == 1
    assert 'nowhere' in error
    assert not list((study.parent / 'work_dirs').rglob('*.pth'))
    said = done(study, '--rows', 'base', options=hooks)
    (record,) = records(study).values()
    assert record['options']['custom_hooks'] == [dict(type='ChannelsLastHook')]
    assert record['data']['test']['images'] == 2
    assert 'train_cfg.max_iters=4' in said
    (log,) = first(study).glob('*/*.log')
    assert 'ChannelsLastHook' in log.read_text().partition('Hooks will be executed')[2]


def test_other_settings_are_refused(study):
    done(study, '--rows', 'base')
    for place in ([], ['--results', 'results/other/demo2']):
        options = ['train_dataloader.batch_size=4']
        error = refused(study, '--rows', 'base', *place, options=options)
        assert 'with other settings; give the same --cfg-options' in error


def test_a_failing_row_leaves_the_others(study):
    content = yaml.safe_load(study.read_text())
    content['rows']['base']['options'] = {'model.decode_head.num_classes': 3}
    study.write_text(yaml.safe_dump(content))
    said = '1 of 2 runs failed, the first base-seed0: model.decode_head.num_classes'
    assert said in refused(study)
    assert list(records(study)) == ['other-seed0']
