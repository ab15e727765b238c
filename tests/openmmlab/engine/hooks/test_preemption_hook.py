"""A signal ends training with a checkpoint, from which it continues bit for bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.hooks import Hook
from mmseg.registry import HOOKS
from torch.utils.data import DataLoader

from mmseg_pacbal.openmmlab.engine import processes
from tests.openmmlab.engine.test_train_loop import assert_same_run, checkpoint, train

PREEMPTION = {'default_hooks.preemption': dict(type='PreemptionHook')}
SPARSE = {'default_hooks.checkpoint.interval': 4, 'randomness': dict(seed=7)}


@HOOKS.register_module()
class Sender(Hook):
    """Sends this process a signal before an iteration, counted from 1."""

    def __init__(self, number: int, iteration: int) -> None:
        self.number, self.iteration = number, iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.iteration:
            os.kill(os.getpid(), self.number)


def sent(number: int, iteration: int) -> dict:
    return {'custom_hooks': [dict(type='Sender', number=int(number), iteration=iteration)]}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob('*.pth'))


@pytest.fixture
def handlers():
    """Those of the test's process, put back where training did not end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
def test_signal_leaves_a_checkpoint_and_code_75(number, handlers, tmp_path):
    whole = train(tmp_path / 'whole', **PREEMPTION, **SPARSE)
    assert {n: signal.getsignal(n) for n in handlers} == handlers

    with pytest.raises(SystemExit) as ended:
        train(tmp_path / 'stopped', **PREEMPTION, **SPARSE, **sent(number, 6))
    assert ended.value.code == os.EX_TEMPFAIL
    assert names(tmp_path / 'stopped') == ['iter_4.pth', 'iter_6.pth']
    resumed = train(
        tmp_path / 'resumed', tmp_path / 'stopped' / 'iter_6.pth', **PREEMPTION, **SPARSE
    )
    assert_same_run(resumed, whole)


def test_a_checkpoint_of_the_iteration_is_not_written_twice(handlers, tmp_path, caplog):
    keep = {'default_hooks.checkpoint.max_keep_ckpts': 1, 'log_level': 'INFO'}
    with pytest.raises(SystemExit):
        train(tmp_path, **PREEMPTION, **SPARSE, **keep, **sent(signal.SIGTERM, 4))
    assert names(tmp_path) == ['iter_4.pth']
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert log.count('Saving checkpoint') == 1
    assert 'stopped by SIGTERM after iteration 4; resume the run to continue' in log


def test_accumulated_gradients_are_not_lost(handlers, tmp_path):
    options = {'optim_wrapper.accumulative_counts': 3, **SPARSE}
    whole = train(tmp_path / 'whole', **PREEMPTION, **options)
    with pytest.raises(SystemExit):
        train(tmp_path / 'stopped', **PREEMPTION, **options, **sent(signal.SIGTERM, 4))
    assert names(tmp_path / 'stopped') == ['iter_4.pth', 'iter_6.pth']
    resumed = train(
        tmp_path / 'resumed', tmp_path / 'stopped' / 'iter_6.pth', **PREEMPTION, **options
    )
    assert_same_run(resumed, whole)


def test_without_the_hook_nothing_is_changed(handlers, tmp_path):
    runner = train(tmp_path, max_iters=2)
    assert not any(type(hook).__name__ == 'PreemptionHook' for hook in runner.hooks)
    assert checkpoint(runner).exists()


class OwnProcess:
    """A data set of the ids of the processes that read it."""

    def __len__(self):
        return 50

    def __getitem__(self, index):
        time.sleep(0.02)
        return os.getpid()


def test_workers_outlive_a_signal_to_the_group():
    loader = DataLoader(OwnProcess(), batch_size=1, num_workers=1)
    processes.protect_workers(loader)
    readers = []
    for batch in loader:
        readers.append(batch.item())
        if len(readers) in (2, 4):
            os.kill(readers[0], signal.SIGTERM if len(readers) == 2 else signal.SIGUSR1)
    assert len(readers) == 50
    assert len(set(readers)) == 1
    assert readers[0] != os.getpid()


# References in a module keep loaders and iterators, and so workers, to the end of the process.
ENDS = """
from torch.utils.data import DataLoader
from mmseg_pacbal.openmmlab.engine import processes

loaders = [DataLoader(range(8), num_workers=1, persistent_workers=kept) for kept in (False, True)]
for loader in loaders:
    processes.protect_workers(loader)
started = [iter(loader) for loader in loaders]
for batches in started:
    next(batches)

import atexit, multiprocessing.util
# Runs after multiprocessing's own function, which ends the workers.
atexit.unregister(multiprocessing.util._exit_function)
atexit.register(lambda: print([batches._workers[0].exitcode for batches in started]))
atexit.register(multiprocessing.util._exit_function)
"""


@pytest.mark.slow
def test_workers_end_with_their_process():
    """Not by the alarm, two minutes later."""
    result = subprocess.run(
        [sys.executable, '-c', ENDS], capture_output=True, text=True, check=False
    )
    assert result.stdout == '[0, 0]\n'
    assert result.returncode == 0
    assert 'Traceback' not in result.stderr


def test_own_start_of_a_worker_is_called():
    started = []
    loader = DataLoader(range(2), worker_init_fn=started.append)
    processes.protect_workers(loader)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        loader.worker_init_fn(3)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert started == [3]
