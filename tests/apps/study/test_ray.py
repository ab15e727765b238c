"""A study on a Ray cluster of two nodes: nodes and drivers are lost, and work is shared."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mmseg_pacbal.apps.study.runner import RayPool
from tests.apps.study.stand_ins import ITERATIONS, driver, wait_until, write_tools
from tests.environments import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec('ray') is None, reason='Ray is not installed'),
]
NAMES = ('base', 'other')


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
    tools = write_tools(tmp_path / 'tools', seconds=1.0)
    pool = f'RayPool({cluster.address!r}, processes=1, cpus=1)'
    started = []

    def start_driver() -> subprocess.Popen:
        process = subprocess.Popen(driver(tmp_path, tools, pool, NAMES), cwd=ROOT)
        started.append(process)
        return process

    yield start_driver
    for process in started:
        process.kill()
        process.wait()


def calls(folder: Path, name: str | None = None) -> list[str]:
    """What the tools noted, of all runs or of one."""
    path = folder / 'tools' / 'calls'
    lines = path.read_text().splitlines() if path.exists() else []
    entries = [json.loads(line) for line in lines]
    return [e['what'] for e in entries if name is None or e['run'] == f'{name}-seed0']


def ended(folder: Path) -> int:
    """How many tools that started are not running any more."""
    lines = (folder / 'tools' / 'calls').read_text().splitlines()
    pids = {json.loads(line)['pid'] for line in lines}
    return sum(not Path(f'/proc/{pid}').exists() for pid in pids)


def wait_for_checkpoints(folder: Path) -> None:
    places = [folder / 'work' / f'{name}-seed0' / 'iter_4.pth' for name in NAMES]
    wait_until(lambda: all(place.exists() for place in places), 300)


def records(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / 'results' / 'mine' / 'data').glob('*.json'))


def continued(whats: list[str]) -> bool:
    """Whether a run was stopped once, and then ran on from a checkpoint to its end."""
    if whats[:1] != ['train from 0'] or whats[-2:] != ['trained', 'test']:
        return False
    starts = [int(what.split()[-1]) for what in whats if what.startswith('train from')]
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
    assert records(tmp_path) == ['base-seed0', 'other-seed0']
    lost = [name for name in NAMES if continued(calls(tmp_path, name))]
    assert len(lost) == 1, calls(tmp_path)
    (kept,) = set(NAMES) - set(lost)
    assert calls(tmp_path, kept) == ['train from 0', 'trained', 'test']


def test_a_driver_that_is_killed_is_started_again(start, tmp_path):
    (tmp_path / 'tools' / 'hold').touch()
    process = start()
    wait_for_checkpoints(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: ended(tmp_path) == 2, 120)
    (tmp_path / 'tools' / 'hold').unlink()
    assert start().wait(timeout=300) == 0
    assert records(tmp_path) == ['base-seed0', 'other-seed0']
    assert all(continued(calls(tmp_path, name)) for name in NAMES), calls(tmp_path)


def test_two_studies_on_one_record_folder_share_the_runs(start, tmp_path):
    both = [start(), start()]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    assert records(tmp_path) == ['base-seed0', 'other-seed0']
    for name in NAMES:
        assert calls(tmp_path, name) == ['train from 0', 'trained', 'test']


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
