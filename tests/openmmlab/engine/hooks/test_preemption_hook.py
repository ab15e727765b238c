"""A signal ends training with a checkpoint, from which it continues bit for bit."""

import os
import re
import signal
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmseg.registry import HOOKS
from torch.utils.data import DataLoader

from mmseg_pacbal.openmmlab.engine import processes
from tests.environments import run_python
from tests.openmmlab.engine.tiny_run import assert_same_run, train

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
    before = {number: signal.getsignal(number) for number in (*processes.SIGNALS, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def stop_and_resume(folder: Path, iteration: int, options: dict, stopped: dict | None = None):
    """A stopped run, continued from its last checkpoint, is the run that was not stopped."""
    numbers = (*processes.SIGNALS, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    whole = train(folder / 'whole', **PREEMPTION, **options)
    assert [signal.getsignal(number) for number in numbers] == before
    with pytest.raises(SystemExit) as ended:
        train(folder / 'stopped', **PREEMPTION, **options | (stopped or {}))
    assert ended.value.code == os.EX_TEMPFAIL
    last = Path((folder / 'stopped' / 'last_checkpoint').read_text())
    assert last.name == f'iter_{iteration}.pth'
    assert_same_run(train(folder / 'resumed', last, **PREEMPTION, **options), whole)


def stopped(folder: Path, iteration: int, **options: object) -> str:
    """The log of a run that SIGTERM ends after an iteration."""
    told = {'log_level': 'INFO', **sent(signal.SIGTERM, iteration)}
    with pytest.raises(SystemExit):
        train(folder, **PREEMPTION, **options | told)
    return next(folder.glob('*/*.log')).read_text()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_signal_leaves_a_checkpoint_and_code_75(number, handlers, tmp_path):
    stop_and_resume(tmp_path, 6, SPARSE, sent(number, 6))
    assert names(tmp_path / 'stopped') == ['iter_4.pth', 'iter_6.pth']


def test_accumulated_gradients_are_not_lost(handlers, tmp_path):
    options = {'optim_wrapper.accumulative_counts': 3, **SPARSE}
    stop_and_resume(tmp_path, 6, options, sent(signal.SIGTERM, 4))


@pytest.mark.parametrize(
    'options',
    [dict(by_epoch=True), dict(save_optimizer=False), dict(interval=-1, save_last=False)],
    ids=str,
)
def test_whatever_the_checkpoint_hook_writes_it_continues(options, handlers, tmp_path):
    stopped = {f'default_hooks.checkpoint.{name}': value for name, value in options.items()}
    stop_and_resume(tmp_path, 4, SPARSE, stopped | sent(signal.SIGTERM, 4))


def test_a_checkpoint_of_the_iteration_is_not_written_twice(handlers, tmp_path):
    log = stopped(tmp_path, 4, **SPARSE, **{'default_hooks.checkpoint.max_keep_ckpts': 1})
    assert names(tmp_path) == ['iter_4.pth']
    assert log.count('Saving checkpoint') == 1
    assert 'stopped by SIGTERM after iteration 4; resume the run to continue' in log


def test_a_name_that_ends_like_another_is_written(handlers, tmp_path):
    names_of_numbers = {'default_hooks.checkpoint.filename_tmpl': '{}.pth', 'max_iters': 12}
    stopped(tmp_path, 11, **SPARSE | names_of_numbers | {'default_hooks.checkpoint.interval': 10})
    assert names(tmp_path) == ['10.pth', '11.pth']


EPOCHS = {  # of 3 iterations
    'train_cfg': dict(type='EpochBasedTrainLoop', max_epochs=4, val_interval=1),
    'train_dataloader.drop_last': True,
    'train_dataloader.sampler.type': 'DefaultSampler',
    'default_hooks.checkpoint': dict(by_epoch=True, interval=2),
    'param_scheduler': None,
    'log_processor.by_epoch': True,
    'log_level': 'INFO',
}


@pytest.mark.parametrize(
    ('iteration', 'written', 'end'),
    [
        (3, ['epoch_1.pth'], 'after iteration 3; resume the run to continue'),
        (6, ['epoch_2.pth'], 'after iteration 6; resume the run to continue'),
        (8, ['epoch_2.pth'], 'after iteration 8; what was done since {}/epoch_2.pth is lost; '),
        (2, [], 'after iteration 2; what was done since its start is lost; resume the run'),
        (12, ['epoch_2.pth', 'epoch_4.pth'], None),  # the last one
    ],
)
def test_epochs(iteration, written, end, handlers, tmp_path):
    """Nothing is lost between two epochs; within one, the log says so when training starts."""
    expected = pytest.raises(SystemExit) if end else nullcontext()
    with expected:
        train(tmp_path, **PREEMPTION, **EPOCHS, **sent(signal.SIGTERM, iteration))
    assert names(tmp_path) == written
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert 'EpochBasedTrainLoop cannot continue within an epoch: if this training is' in log
    if end:
        assert f'stopped by SIGTERM {end.format(tmp_path)}' in log
        assert len(re.findall(r'Epoch\(val\).*score', log)) == iteration // 3
    else:
        assert 'stopped by' not in log


def test_iterations_in_a_loop_of_epochs(handlers, tmp_path):
    by_iterations = {**EPOCHS, 'default_hooks.checkpoint': dict(by_epoch=False, interval=9)}
    assert 'is lost' not in stopped(tmp_path, 5, **by_iterations)
    assert names(tmp_path) == ['iter_5.pth']


def test_without_a_checkpoint_hook_it_says_so_before(handlers, tmp_path):
    log = stopped(tmp_path, 2, **{'default_hooks.checkpoint': None})
    assert log.index('no CheckpointHook: if this') < log.index('since its start is lost')


class OwnProcess:
    """A data set of the ids of the processes that read it."""

    def __len__(self):
        return 50

    def __getitem__(self, index):
        time.sleep(0.02)
        return os.getpid()


def test_workers_outlive_a_signal_to_the_group():
    started = torch.zeros(1).share_memory_()
    loader = DataLoader(
        OwnProcess(), batch_size=1, num_workers=1, worker_init_fn=lambda _: started.fill_(1)
    )
    processes.protect_workers(loader)
    readers = []
    sent_after = {2: signal.SIGTERM, 4: signal.SIGUSR1, 6: signal.SIGINT}
    for batch in loader:
        readers.append(batch.item())
        if len(readers) in sent_after:
            os.kill(readers[0], sent_after[len(readers)])
    assert len(readers) == 50
    assert len(set(readers)) == 1
    assert readers[0] != os.getpid()
    assert started.item() == 1  # the loader's own function was called


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
    result = run_python(ENDS)
    assert result.stdout == '[0, 0]\n'
    assert result.returncode == 0
    assert 'Traceback' not in result.stderr
