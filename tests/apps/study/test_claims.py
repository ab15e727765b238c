"""Who may work on a run: one process, on whichever node."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mmseg_pacbal.apps.study import claims
from mmseg_pacbal.apps.study.claims import ClaimedError, claim
from tests.environments import ROOT

# Holds a claim on the node of a name until it is ended.
HOLDER = """
import os, runpy, socket, sys, time
from pathlib import Path

path, node, record, folder = sys.argv[1:]
socket.gethostname = lambda: node
claim = runpy.run_path(path)['claim']  # without the package: it starts at once
claim.__wrapped__.__globals__['LEASE_SECONDS'] = 1.0
# One write, since two threads may say so at the same time.
with claim(Path(record), Path(folder), 0, lambda: os.write(1, b'lost\\n')):
    print('held', flush=True)
    time.sleep(600)
"""


@pytest.fixture
def places(tmp_path) -> tuple[Path, Path]:
    (tmp_path / 'run').mkdir()
    return tmp_path / 'results' / 'a-seed0.json', tmp_path / 'run'


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(claims, 'LEASE_SECONDS', 1.0)


@contextlib.contextmanager
def holder(node: str, record: Path, folder: Path):
    command = [sys.executable, '-c', HOLDER, claims.__file__, node, str(record), str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout.readline() == 'held\n'
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def never() -> None:
    raise AssertionError('a claim was lost')


def assert_refused(*settings: Any) -> None:
    with pytest.raises(ClaimedError, match='another process'), claim(*settings):
        pass


def test_record_and_folder_are_each_claimed_once(places, tmp_path):
    record, folder = places
    (tmp_path / 'other').mkdir()
    pairs = [places, (record, tmp_path / 'other'), (tmp_path / 'results' / 'b.json', folder)]
    with claim(*places, 0, never):
        for pair in pairs:
            assert_refused(*pair, 0, never)
    for pair in pairs:  # whatever the refused ones took they gave back
        with claim(*pair, 0, never):
            pass
    assert not list(tmp_path.rglob('*.lease'))


def test_an_owner_on_another_node_is_left_alone_until_it_is_dead(places, short):
    with holder('node2', *places) as process:
        start = time.monotonic()
        assert_refused(*places, 2, never)
        assert time.monotonic() - start >= 2
        process.kill()
        process.wait()
        assert_refused(*places, 0, never)  # it cannot know yet
        with claim(*places, 30, never):
            assert (places[1] / 'lease').exists()


def test_a_dead_owner_on_this_node_is_known_at_once(places, short):
    with holder(socket.gethostname(), *places) as process:
        process.kill()
        process.wait()
        with claim(*places, 1, never):
            pass


def test_an_owner_that_slept_learns_that_it_lost(places, short):
    with holder('node2', *places) as process:
        process.send_signal(signal.SIGSTOP)
        # Its descriptor keeps the folder on this machine, which stands for two.
        (places[1] / 'lock').unlink()
        with claim(*places, 30, never):
            process.send_signal(signal.SIGCONT)
            assert process.stdout.readline() == 'lost\n'


def test_a_tool_keeps_the_folder_for_as_long_as_it_lives(places):
    with claim(*places, 0, never) as lock:
        tool = subprocess.Popen(['sleep', '600'], pass_fds=[lock])
    try:
        assert_refused(*places, 0, never)
    finally:
        tool.kill()
        tool.wait()
    with claim(*places, 0, never):
        pass


def test_waiting_for_a_claim_can_be_cancelled(places):
    asked = []
    with claim(*places, 0, never):
        start = time.monotonic()
        assert_refused(*places, 60, never, lambda: bool(asked.append(1) or len(asked) > 1))
    assert time.monotonic() - start < 30
