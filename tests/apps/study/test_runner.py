"""What the runner does with the tools, whether it is stopped, killed or shares its work."""

import json
import os
import re
import signal
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from mmengine.device import get_device

from mmseg_pacbal.apps.study.command import watch
from mmseg_pacbal.apps.study.runner import DevicePool, StudyRunner, device_groups
from tests.apps.study.stand_ins import (
    ITERATIONS,
    calls,
    plan,
    run_all,
    start_driver,
    wait_until,
    whats,
    workplace,
    write_tools,
)


@pytest.fixture
def tools(tmp_path) -> Path:
    return write_tools(tmp_path, seconds=0.05)


@pytest.fixture
def slow_tools(tmp_path) -> Path:
    """For what has to happen in the middle of a run."""
    return write_tools(tmp_path, seconds=0.5)


def runner_of(folder: Path, *names: str, **settings: int) -> StudyRunner:
    """A runner of these rows on one device, with the tools in the folder."""
    return StudyRunner(plan(*names, **settings), workplace(folder), DevicePool([None]))


def record_of(runner: StudyRunner) -> dict:
    """The record of the first run."""
    return json.loads(runner.paths.record(runner.runs[0]).read_text())


def test_each_device_has_one_run_at_a_time(tools, tmp_path, capsys):
    runs = plan('base', 'other', seeds=2)
    runner = StudyRunner(runs, workplace(tmp_path), DevicePool(['0,1', '4,5']))
    watch(runner)
    said = capsys.readouterr().out
    assert runner.failed == []
    assert said.startswith(
        '4 runs of 8 iterations: 0 finished, 0 taken over from other studies, '
        '4 left with 32 iterations\n'
    )
    assert re.search(r'^1 of 4 runs finished, 0:00:\d\d left for the others$', said, re.MULTILINE)
    assert said.endswith('4 of 4 runs finished\n')
    for run in runs:
        assert said.index(f'{run.name}: train\n') < said.index(f'{run.name}: test\n')
    assert runner.runs_finished() == 4
    assert runner.iterations_done() == 4 * ITERATIONS
    by_device = defaultdict(list)
    for call in calls(tmp_path):
        by_device[call['gpus']].append((call['run'], call['what']))
    assert sorted(by_device) == ['0,1', '4,5']
    for seen in by_device.values():  # one after another, none between
        runs_here = list(dict.fromkeys(name for name, _ in seen))
        steps = ['train from 0', 'trained', 'test']
        assert seen == [(name, step) for name in runs_here for step in steps]
    record = record_of(runner)
    assert record['metrics'] == dict(mIoU=50.0)
    assert record['seconds_per_iteration'] == 0.5
    assert record['fingerprint'] == runs[0].fingerprint
    assert sorted(path.suffix for path in runner.paths.results.iterdir()) == ['.json'] * 4

    again = StudyRunner(runs, runner.paths, DevicePool([None]))
    before = calls(tmp_path)
    run_all(again)
    assert calls(tmp_path) == before
    assert '4 finished, 0 taken over from other studies, 0 left' in capsys.readouterr().out


def test_a_run_that_fails_leaves_the_others(tools, tmp_path, capsys):
    (tools / 'fail').touch()
    runner = run_all(runner_of(tmp_path, 'bad', 'base'))
    log = tmp_path / 'work' / 'bad-seed0' / 'study' / 'log.txt'
    assert runner.failed == [f'bad-seed0: the third image is upside down (whole output: {log})']
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == [
        'bad-seed0: train',
        f'failed: {runner.failed[0]}',
        'base-seed0: train',
        'base-seed0: test',
    ]
    assert log.read_text().startswith('Traceback (most recent call last):')
    assert runner.runs_finished() == 1

    # An error of an earlier start is not taken for that of this one.
    (tools / 'fail').unlink()
    for code, last in (('', ''), ('print("no GPU\\n")\n', ', its last line: no GPU')):
        (tools / 'test.py').write_text(f'import sys\n{code}sys.exit(3)\n')
        assert run_all(runner_of(tmp_path, 'bad')).failed == [
            f'bad-seed0: test.py ended with code 3{last} (whole output: {log})'
        ]


def test_a_run_that_logs_nothing_has_a_record(tools, tmp_path, monkeypatch):
    monkeypatch.setenv('SILENT', '1')
    runner = run_all(runner_of(tmp_path, 'base'))
    assert runner.failed == []
    assert record_of(runner)['seconds_per_iteration'] is None


def test_settings_may_change_until_there_is_a_checkpoint(tools, tmp_path):
    (tools / 'fail').touch()
    run_all(runner_of(tmp_path, 'bad'))  # fails before its first checkpoint
    other = runner_of(tmp_path, 'bad')
    other.runs[0].cfg.train_cfg.val_interval = 2
    assert 'upside down' in run_all(other).failed[0]
    (tmp_path / 'work' / 'bad-seed0' / 'iter_4.pth').touch()
    assert 'holds a run with other settings' in run_all(runner_of(tmp_path, 'bad')).failed[0]


def test_a_test_can_be_corrected_after_the_training(tools, tmp_path):
    def corrected(**options: object) -> StudyRunner:
        runner = runner_of(tmp_path, 'base')
        runner.runs[0].cfg.merge_from_dict(options)
        return run_all(runner)

    right = (tools / 'test.py').read_text()
    (tools / 'test.py').write_text('import sys\nsys.exit("error: no such folder")\n')
    assert 'no such folder' in corrected(test_dataloader=dict(data_root='nowhere')).failed[0]
    (tools / 'test.py').write_text(right)
    runner = corrected(test_dataloader=dict(data_root='there'), test_evaluator=dict(type='IoU'))
    assert (runner.failed, runner.runs_finished()) == ([], 1)
    assert whats(tmp_path) == ['train from 0', 'trained', 'test']
    config = (tmp_path / 'work' / 'base-seed0' / 'study' / 'config.py').read_text()
    assert "data_root='there'" in config

    runner.paths.record(runner.runs[0]).unlink()
    refused = corrected(test_dataloader=dict(data_root='there'), train_dataloader=dict(a=1))
    assert 'holds a run with other settings' in refused.failed[0]


def test_stopping_leaves_checkpoints_to_continue_from(slow_tools, tmp_path):
    runner = runner_of(tmp_path, 'base', 'other')
    runner.start()
    wait_until(lambda: runner.iterations_done() >= 2)
    runner.stop()
    assert whats(tmp_path) == ['train from 0', 'stopped']
    (left,) = (int(p.stem[5:]) for p in (tmp_path / 'work' / 'base-seed0').glob('*.pth'))
    assert not list(tmp_path.rglob('*.lease'))

    assert run_all(runner_of(tmp_path, 'base', 'other')).runs_finished() == 2
    assert whats(tmp_path)[2] == f'train from {left}'


def test_iterations_of_a_start_that_was_killed_do_not_count(tmp_path):
    runner = runner_of(tmp_path, 'base')
    for start, steps in (('20260101_01', (3, 6)), ('20260101_02', (2, 4))):
        log = tmp_path / 'work' / 'base-seed0' / start / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text(''.join(f'{{"step": {step}}}\n' for step in steps))
    assert runner.iterations_done() == 4


def assert_stopped_and_continued(folder: Path, since: Iterable[int]) -> None:
    """Once, at one of some iterations."""
    first, stopped, again, *others = whats(folder)
    assert (first, stopped, *others) == ('train from 0', 'stopped', 'trained', 'test')
    assert again in {f'train from {n}' for n in since}


def test_a_training_that_is_stopped_is_started_again(slow_tools, tmp_path):
    runner = runner_of(tmp_path, 'base')
    runner.start()
    wait_until(lambda: runner.iterations_done() >= 1)
    os.kill(calls(tmp_path)[0]['pid'], signal.SIGTERM)
    while runner.wait(0.2):
        pass
    assert_stopped_and_continued(tmp_path, range(1, ITERATIONS + 1))
    assert runner.failed == []


@pytest.mark.slow
@pytest.mark.skipif(os.uname().sysname != 'Linux', reason='the kernel ends the tools on Linux only')
def test_a_killed_driver_takes_its_tools_along_and_the_next_one_continues(slow_tools, tmp_path):
    process = start_driver(tmp_path, 'DevicePool([None])', 'base')
    wait_until(lambda: (tmp_path / 'work' / 'base-seed0' / 'iter_4.pth').exists(), 240)
    process.kill()  # it alone: what it started is told by the kernel
    process.wait()
    run_all(runner_of(tmp_path, 'base'))
    assert_stopped_and_continued(tmp_path, range(4, ITERATIONS + 1))
    _, stopped, again, *_ = calls(tmp_path)
    assert stopped['time'] <= again['time']  # not both at once


@pytest.mark.slow
def test_two_studies_share_one_record_folder(tools, tmp_path):
    """Each run is trained once, by either, and both end when all records are there."""
    other = start_driver(tmp_path, 'DevicePool([None])', 'base')
    wait_until(lambda: 'train from 0' in whats(tmp_path), 240)
    runner = run_all(runner_of(tmp_path, 'base', 'other'))
    assert (runner.failed, runner.runs_finished()) == ([], 2)
    assert other.wait(timeout=120) == 0
    trained = [call['run'] for call in calls(tmp_path) if call['what'] == 'trained']
    assert sorted(trained) == ['base-seed0', 'other-seed0']


def test_two_work_dirs_do_not_make_one_record_twice(tools, tmp_path):
    place = workplace(tmp_path)
    elsewhere = replace(place, work_dir=tmp_path / 'elsewhere')
    runners = [StudyRunner(plan('base'), p, DevicePool([None])) for p in (place, elsewhere)]
    with ThreadPoolExecutor() as threads:
        assert [runner.failed for runner in threads.map(run_all, runners)] == [[], []]
    assert whats(tmp_path) == ['train from 0', 'trained', 'test']


def test_a_record_of_another_study_is_taken_over(tools, tmp_path):
    (run,) = plan('base')
    cpu, gpu = (dict(device=d, machine=d) for d in ('cpu', 'cuda:0'))
    for study, here, seed in (('a', gpu, 0), ('b', cpu, 0), ('c', cpu, 0), ('d', cpu, 1)):
        folder = tmp_path / 'results' / study / 'data'
        folder.mkdir(parents=True)
        same = run.fingerprint if seed == 0 else 'another'
        record = dict(study=study, row=study, seed=seed, environment=here, fingerprint=same)
        record['metrics'] = dict(mIoU=float(ord(study)))
        (folder / f'{study}.json').write_text(json.dumps(record))
    record = record_of(run_all(runner_of(tmp_path, 'base')))
    first = 'a' if get_device() == 'cuda' else 'b'  # of those from the same kind of device
    assert (record['study'], record['row']) == ('mine', 'base')
    assert record['metrics'] == dict(mIoU=float(ord(first)))
    assert calls(tmp_path) == []


DATA = dict(train=dict(images=2, digest='a'), test=dict(images=1, digest='b'))


@pytest.mark.parametrize(
    ('recorded', 'read', 'same'),
    [
        (None, DATA, True),  # a record of an earlier version
        (DATA, None, True),  # the data is not here
        (DATA, DATA, True),
        (DATA, DATA | dict(test=dict(images=1, digest='c')), False),
    ],
)
def test_a_record_of_other_data_is_not_taken_over(tools, tmp_path, recorded, read, same, capsys):
    (run,) = plan('base')
    folder = tmp_path / 'results' / 'other' / 'data'
    folder.mkdir(parents=True)
    record = dict(row='base', seed=0, metrics=dict(mIoU=1.0), environment=dict(device='cpu'))
    record |= dict(fingerprint=run.fingerprint, options=dict(max_iters=3))
    record |= dict(data=recorded) if recorded else {}
    (folder / 'base-seed0.json').write_text(json.dumps(record))
    runner = runner_of(tmp_path)
    runner.runs = [replace(run, data=read, options=dict(lr=2))]
    made = record_of(run_all(runner))
    assert (calls(tmp_path) == []) == same
    assert f'{int(same)} taken over from other studies' in capsys.readouterr().out
    assert made.get('data') == (recorded if same else read)
    assert made['options'] == dict(lr=2)  # those of the other study were of its rows

    (folder / 'base-seed0.json').rename(runner.paths.record(run))
    if same:
        run_all(runner)
    else:
        with pytest.raises(ValueError, match='is the record of a run on other data; give'):
            run_all(runner)


def test_records_that_cannot_be_compared_with_the_data_are_said(tools, tmp_path, capsys):
    runner = runner_of(tmp_path, 'base', seeds=2)
    run_all(runner)
    problem = FileNotFoundError('test_dataloader: data_root x does not exist')
    runner.runs = [replace(run, problem=problem) for run in runner.runs]
    capsys.readouterr()
    run_all(runner)
    overview, said, *more = capsys.readouterr().out.splitlines()
    assert '2 finished, 0 taken over from other studies, 0 left' in overview
    assert said == (
        'whether the records of 2 runs are of your data is not known, since it cannot be read: '
        f'{problem}'
    )
    assert (more, runner.failed) == ([], [])


def test_runs_that_cannot_be_trained_are_said_once(tools, tmp_path, capsys):
    problem = FileNotFoundError('test_dataloader: data_root x does not exist')
    bad = [replace(run, problem=problem) for run in plan('bad', seeds=2)]
    runner = runner_of(tmp_path, 'base', seeds=2)
    runner.runs += bad
    run_all(runner)
    assert capsys.readouterr().out.splitlines()[1] == f'failed: bad-seed0 and 1 more: {problem}'
    assert runner.failed == [f'bad-seed{seed}: {problem}' for seed in (0, 1)]
    assert (runner.first_error, runner.runs_finished()) == (problem, 2)
    with pytest.raises(FileNotFoundError, match='data_root x does not exist'):
        runner.start()
    assert capsys.readouterr().out == ''
    assert {call['run'] for call in calls(tmp_path)} == {'base-seed0', 'base-seed1'}


@pytest.mark.slow
def test_torchrun_starts_the_processes_of_a_run(tools, tmp_path):
    (tools / 'train.py').write_text(
        'import os, sys\n'
        'from pathlib import Path\n'
        'names = [os.environ[name] for name in ("RANK", "WORLD_SIZE")]\n'
        'Path(__file__).with_name("rank" + names[0]).write_text(" ".join(names + sys.argv[1:]))\n'
        'sys.exit(os.environ["RANK"] == "1")\n'
    )
    runner = run_all(runner_of(tmp_path, 'base', processes=2))
    assert 'train.py ended with code 1' in runner.failed[0]
    config = tmp_path / 'work' / 'base-seed0' / 'study' / 'config.py'
    for rank in '01':
        assert (tools / f'rank{rank}').read_text() == (
            f'{rank} 2 {config} --work-dir {config.parents[1]} --resume --traceback '
            '--launcher pytorch'
        )
    assert '# With 2 processes.' in config.read_text()


def test_gpus_are_shared_out():
    assert device_groups(None, 2) == [None]
    assert device_groups([0, 1, 4], 1) == ['0', '1', '4']
    assert device_groups([0, 0, 1], 1) == ['0', '0', '1']  # two runs share the first
    assert device_groups([0, 1, 4, 5], 2) == ['0,1', '4,5']
    with pytest.raises(ValueError, match='3 GPUs cannot be divided among runs of 2 processes'):
        device_groups([0, 1, 2], 2)
