"""A second training in a work dir is refused; the lock of a process that is gone is taken over."""

import runpy
import subprocess
import sys
import threading
import time
import types
from contextlib import nullcontext

import pytest
from filelock import SoftFileLease

from mmseg_pacbal.openmmlab.engine import work_dir
from tests.running import DEMO, mistake, small

HOLDER = """
import sys, time
from filelock import SoftFileLease
with SoftFileLease(sys.argv[1], lease_duration=2.0, heartbeat_interval=0.3):
    print('held', flush=True)
    time.sleep(60)
"""
ELSEWHERE = 'filelock 2\npid=77\nhost=node7\nmode=lease\ntoken=abc\nduration=2.0\nstart=1\n'


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(work_dir, 'LEASE', 2.0)
    monkeypatch.setattr(work_dir, 'RENEWAL', 0.3)


@pytest.fixture
def lock(tmp_path):
    return tmp_path / 'training.lock'


@pytest.fixture
def holder(lock):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, '-c', HOLDER, lock], stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def elsewhere(lock):
    """The lock of a process on another machine."""
    with SoftFileLease(lock, lease_duration=2.0, heartbeat_interval=0.3):
        format_of_today = lock.read_text().splitlines()[0]
    lock.write_text(ELSEWHERE.replace('filelock 2', format_of_today))


def test_a_second_training_is_refused(holder, lock, tmp_path):
    sentence = (
        f'another training, process {holder.pid} on .*, works in {tmp_path}; wait for its end, or '
        'train in another work_dir'
    )
    with pytest.raises(BlockingIOError, match=sentence), work_dir.locked(tmp_path):
        pass
    assert lock.exists()


def test_the_tool_is_refused_before_it_writes(holder, demo_data, tmp_path, capsys):
    work = ('--work-dir', tmp_path, '--resume')
    sentence = mistake(capsys, 'train', DEMO, *work, *small(demo_data))
    assert sentence.startswith(f'another training, process {holder.pid} on ')
    assert sentence.endswith(
        f', works in {tmp_path}; wait for its end, or train with another --work-dir'
    )
    assert [path.name for path in tmp_path.iterdir()] == ['training.lock']


def test_a_killed_process_is_known_to_be_gone(holder, lock, tmp_path, capsys):
    holder.kill()
    holder.wait()
    (tmp_path / 'iter_2.pth.0123.partial').touch()
    (tmp_path / 'iter_4.pth.partial').touch()  # as an earlier version named it
    with work_dir.locked(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ['training.lock']
    assert capsys.readouterr().out.startswith(f'{tmp_path} was locked by process {holder.pid} on ')
    assert not lock.exists()


@pytest.mark.parametrize('exchange', [True, False], ids=['exchange', 'no exchange, as on NFS'])
def test_a_machine_that_is_gone_does_not_renew(exchange, elsewhere, tmp_path, monkeypatch, capsys):
    if not exchange:
        monkeypatch.setattr('filelock._soft.exchange_names', lambda *names: False)
    with work_dir.locked(tmp_path):
        pass
    assert capsys.readouterr().out.splitlines() == [
        f'{tmp_path} is locked by process 77 on node7: looking whether it still runs',
        f'{tmp_path} was locked by process 77 on node7, which is gone: the lock is taken over',
    ]


@pytest.mark.parametrize('happens', ['touch', 'unlink'])
def test_another_machine_that_renews_is_alive_and_one_that_ends_is_not(
    happens, elsewhere, lock, tmp_path
):
    threading.Timer(0.7, getattr(lock, happens)).start()
    alive = pytest.raises(BlockingIOError, match='process 77 on node7')
    with alive if happens == 'touch' else nullcontext(), work_dir.locked(tmp_path):
        assert lock.exists()


def test_the_tool_and_its_runner_are_one_training(lock, tmp_path, capsys):
    with work_dir.locked(tmp_path):
        with work_dir.locked(f'{tmp_path}/../{tmp_path.name}'):
            assert lock.exists()
        assert lock.exists()
    assert not lock.exists()
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize('replaced', [True, False])
def test_a_lost_lock(replaced, lock, tmp_path, monkeypatch, capsys):
    """Taken over, as from a process that was suspended: it ends. Removed: it warns."""
    ended = threading.Event()
    monkeypatch.setattr(work_dir._thread, 'interrupt_main', ended.set)
    with work_dir.locked(tmp_path):
        record = lock.read_text()
        lock.unlink()
        if replaced:
            other = tmp_path / 'other'
            other.write_text(record.replace('token=', 'token=0').replace('host=', 'host=other-'))
            other.rename(lock)
            assert ended.wait(10)
        time.sleep(0 if replaced else 1.5)
    said = capsys.readouterr().err
    assert ('has taken over' in said) == replaced
    assert ('was removed or could not be renewed' in said) == (not replaced)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').touch()
    with (
        pytest.raises(OSError, match=r'work_dir .*/work cannot be written \(Not a dir'),
        work_dir.locked(tmp_path / 'file' / 'work'),
    ):
        pass


def test_without_leases_nothing_is_locked_and_a_warning_says_so(monkeypatch, tmp_path):
    """openmim brings a filelock that has none."""
    monkeypatch.setitem(sys.modules, 'filelock', types.ModuleType('filelock'))
    locked = runpy.run_path(work_dir.__file__)['locked']
    warned = pytest.warns(UserWarning, match=r'is not locked, .* pip install "filelock>=3\.30"')
    with warned, locked(tmp_path):
        assert not list(tmp_path.iterdir())
