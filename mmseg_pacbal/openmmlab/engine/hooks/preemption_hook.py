"""Training that a scheduler stops, to start it again later."""

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from mmengine.dist import all_reduce, barrier, is_distributed, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import HOOKS

from ..processes import SIGNALS, STOPPED


@HOOKS.register_module()
class PreemptionHook(Hook):
    """On SIGTERM, SIGUSR1 and Ctrl-C write a checkpoint, then exit with code 75.

    75 is EX_TEMPFAIL of ``sysexits.h``: run the training again, resumed, and it continues. The
    current iteration (with gradient accumulation, the current update) is finished first, and so is
    a validation that is running. If there are several processes, a signal to one of them stops all;
    the main process exits with 75, the others with 0. A second Ctrl-C ends it at once.

    The checkpoint is one to resume from, whatever the CheckpointHook's own are for. A loop that
    counts epochs cannot continue within one: there a checkpoint is written between two epochs only,
    and a warning says so when training starts.

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
        numbers = (*SIGNALS, signal.SIGINT)
        self._earlier = {number: signal.signal(number, self._note) for number in numbers}
        self._hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
        self._by_iteration = isinstance(runner.train_loop, IterBasedTrainLoop)
        # Those that can write, after any iteration, a checkpoint to continue from.
        self._within_epoch = [h for h in self._hooks if self._by_iteration or not h.by_epoch]
        if not self._hooks:
            runner.logger.warning(
                'the config has no CheckpointHook: if this training is stopped, all of it is lost'
            )
        elif not self._within_epoch:
            runner.logger.warning(
                f'{type(runner.train_loop).__name__} cannot continue within an epoch: if this '
                'training is stopped there, what it did since the last checkpoint is lost; '
                "train_cfg.type='ResumableTrainLoop' loses nothing"
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Stop a loop that counts epochs between two of them, after the validation."""
        if runner.epoch > 0 and not self._by_iteration and self._told():
            self._stop(runner, runner.iter, self._hooks)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Sequence[dict] | None = None,
        outputs: dict | None = None,
    ) -> None:
        if is_distributed() and not self.every_n_train_iters(runner, self.interval):
            return
        if not self._within_epoch and self.end_of_epoch(runner.train_dataloader, batch_idx):
            return  # nothing is lost if it stops before the next epoch
        if self._told() and runner.optim_wrapper.should_update():
            self._stop(runner, runner.iter + 1, self._within_epoch)

    def after_train(self, runner: Runner) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        self._received = signal.Signals(number)
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)
            print('stopping after this iteration; Ctrl-C once more ends it at once', flush=True)

    def _told(self) -> bool:
        told = torch.tensor(int(self._received is not None))
        all_reduce(told, 'max')
        return bool(told)

    def _stop(self, runner: Runner, done: int, hooks: list[CheckpointHook]) -> NoReturn:
        for hook in hooks:
            self._write_checkpoint(runner, hook, done)
        barrier()  # until the main process has written it
        name = self._received.name if self._received else 'a signal to another process'
        lost = ''
        if not hooks:
            last = [hook.last_ckpt for hook in self._hooks if hook.last_ckpt]
            lost = f'what was done since {last[0] if last else "its start"} is lost; '
        runner.logger.info(
            f'stopped by {name} after iteration {done}; {lost}resume the run to continue'
        )
        if is_distributed() and is_main_process():
            # At the first code that is not 0 a launcher kills the others: let them end first.
            time.sleep(3)
        raise SystemExit(STOPPED if is_main_process() else 0)

    def _write_checkpoint(self, runner: Runner, hook: CheckpointHook, done: int) -> None:
        """Make a hook write a checkpoint to resume from, unless it just did; then the run ends."""
        complete = hook.save_optimizer and hook.save_param_scheduler
        hook.save_optimizer = hook.save_param_scheduler = True
        if hook.by_epoch and self._by_iteration:  # its own comes at the end of training only
            hook.by_epoch, hook.filename_tmpl, hook.max_keep_ckpts = False, 'iter_{}.pth', -1
        step = runner.epoch if hook.by_epoch else done
        if not complete or Path(hook.last_ckpt or '').name != hook.filename_tmpl.format(step):
            meta = dict(epoch=runner.epoch, iter=done)
            hook._save_checkpoint_with_step(runner, step, meta)
