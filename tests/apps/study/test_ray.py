"""A study on a Ray cluster of two nodes: nodes and drivers are lost, and work is shared."""

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mmseg_pacbal.apps.study.runner import RayPool
from tests.apps.study.stand_ins import (
    ITERATIONS,
    calls,
    start_driver,
    wait_until,
    whats,
    write_tools,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec('ray') is None, reason='Ray is not installed'),
]
NAMES = ('base', 'other')
RUNS = ['base-seed0', 'other-seed0']


class Cluster:
    """tests/apps/study/two_nodes.py in a process of its own, which may look for its address."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name('two_nodes.py')],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, 'RAY_USAGE_STATS_ENABLED': '0'},
        )
        self.address = self.process.stdout.readline().strip()

    def do(self, what: str) -> None:
        self.process.stdin.write(f'{what}\n')
        self.process.stdin.flush()
        assert self.process.stdout.readline() == 'done\n'


@pytest.fixture(scope='module')
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.process.stdin.close()
    cluster.process.wait(timeout=60)


@pytest.fixture
def start(cluster, tmp_path) -> Iterator[Callable[[], subprocess.Popen]]:
    """Starts a driver of the study of NAMES."""
    write_tools(tmp_path, seconds=1.0)
    pool = f'RayPool({cluster.address!r}, processes=1, cpus=1)'
    started = []

    def start() -> subprocess.Popen:
        started.append(start_driver(tmp_path, pool, *NAMES))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def ended(folder: Path) -> int:
    """How many tools that started are not running any more."""
    pids = {call['pid'] for call in calls(folder)}
    return sum(not Path(f'/proc/{pid}').exists() for pid in pids)


def wait_for_checkpoints(folder: Path) -> None:
    places = [folder / 'work' / name / 'iter_4.pth' for name in RUNS]
    wait_until(lambda: all(place.exists() for place in places), 300)


def records(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / 'results' / 'mine' / 'data').glob('*.json'))


def continued(folder: Path, run: str) -> bool:
    """Whether a run was stopped once, and then ran on from a checkpoint to its end."""
    did = whats(folder, run)
    if did[:1] != ['train from 0'] or did[-2:] != ['trained', 'test']:
        return False
    starts = [int(what.split()[-1]) for what in did if what.startswith('train from')]
    return len(starts) == 2 and 4 <= starts[1] <= ITERATIONS


def test_a_run_whose_node_dies_continues_on_another(cluster, start, tmp_path):
    (tmp_path / 'tools' / 'hold').touch()
    process = start()
    wait_for_checkpoints(tmp_path)
    cluster.do('kill')
    try:
        wait_until(lambda: ended(tmp_path) == 1, 120)
        (tmp_path / 'tools' / 'hold').unlink()
        assert process.wait(timeout=300) == 0
    finally:
        cluster.do('join')
    assert records(tmp_path) == RUNS
    lost = [run for run in RUNS if continued(tmp_path, run)]
    assert len(lost) == 1, calls(tmp_path)
    (kept,) = set(RUNS) - set(lost)
    assert whats(tmp_path, kept) == ['train from 0', 'trained', 'test']


@pytest.mark.long
def test_a_driver_that_is_killed_is_started_again(start, tmp_path):
    (tmp_path / 'tools' / 'hold').touch()
    process = start()
    wait_for_checkpoints(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: ended(tmp_path) == 2, 120)
    (tmp_path / 'tools' / 'hold').unlink()
    assert start().wait(timeout=300) == 0
    assert records(tmp_path) == RUNS
    assert all(continued(tmp_path, run) for run in RUNS), calls(tmp_path)


@pytest.mark.long
def test_two_studies_on_one_record_folder_share_the_runs(start, tmp_path):
    both = [start(), start()]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    assert records(tmp_path) == RUNS
    for run in RUNS:
        assert whats(tmp_path, run) == ['train from 0', 'trained', 'test']


def test_no_cluster_is_said(monkeypatch):
    import ray

    def refuse(*args: object, **kwargs: object) -> None:
        raise ConnectionError('Could not find any running Ray instance.')

    monkeypatch.setattr(ray, 'init', refuse)
    with pytest.raises(ConnectionError, match="no Ray cluster was found at 'auto'; start one"):
        RayPool('auto', processes=1, cpus=1)


def test_ray_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match='--ray needs Ray, which is not installed: pip install'):
        RayPool('local', processes=1, cpus=1)
