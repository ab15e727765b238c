"""Training that a scheduler stops, to start it again later."""

import signal
import time
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce, barrier, is_distributed, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ..processes import STOPPED

# What schedulers send before a time limit and on preemption; Windows has no SIGUSR1.
SIGNALS = [getattr(signal, name) for name in ('SIGTERM', 'SIGUSR1') if hasattr(signal, name)]


@HOOKS.register_module()
class PreemptionHook(Hook):
    """On SIGTERM and SIGUSR1 write a checkpoint, then exit with code 75.

    75 is EX_TEMPFAIL of ``sysexits.h``: run the training again, resumed, and it continues. The
    current iteration (with gradient accumulation, the current update) is finished first, and so is
    a validation that is running. If there are several processes, a signal to one of them stops all;
    the main process exits with 75, the others with 0.

    Args:
        interval: With several processes, every so many iterations they ask each other, by an
            all-reduce of one number, whether one of them was told to stop.
    """

    priority = 'LOWEST'  # after the CheckpointHook

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval
        self._received: signal.Signals | None = None
        self._earlier: dict[int, Any] = {}

    def before_train(self, runner: Runner) -> None:
        self._earlier = {number: signal.signal(number, self._note) for number in SIGNALS}

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Sequence[dict] | None = None,
        outputs: dict | None = None,
    ) -> None:
        if not self._all_stop(runner):
            return
        _save_checkpoint(runner)
        barrier()  # until the main process has written it
        name = self._received.name if self._received else 'a signal to another process'
        runner.logger.info(
            f'stopped by {name} after iteration {runner.iter + 1}; resume the run to continue'
        )
        if is_distributed() and is_main_process():
            # At the first code that is not 0 a launcher kills the others: let them end first.
            time.sleep(3)
        raise SystemExit(STOPPED if is_main_process() else 0)

    def after_train(self, runner: Runner) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        self._received = signal.Signals(number)

    def _all_stop(self, runner: Runner) -> bool:
        if is_distributed() and not self.every_n_train_iters(runner, self.interval):
            return False
        told = torch.tensor(int(self._received is not None))
        all_reduce(told, 'max')
        return bool(told) and runner.optim_wrapper.should_update()


def _save_checkpoint(runner: Runner) -> None:
    """Make the CheckpointHook write a checkpoint, unless it just did or counts epochs."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and not hook.by_epoch:
            written = hook.filename_tmpl.format(runner.iter + 1)
            if not str(hook.last_ckpt or '').endswith(written):
                hook._save_checkpoint(runner)
