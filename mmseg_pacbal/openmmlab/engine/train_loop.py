"""A training loop that can be resumed at any iteration without changing the result."""

import warnings
from collections.abc import Sequence

from mmengine.logging import print_log
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import DATASETS, LOOPS
from torch import nn
from torch.utils.data import DataLoader

from .seeding import SeededDataset, SeededSampler, seed_iteration, shared_seed

# The key under which a checkpoint stores the last iteration whose validation was finished.
_VALIDATED = 'last_validated'


@LOOPS.register_module()
class ResumableTrainLoop(IterBasedTrainLoop):
    """mmengine's IterBasedTrainLoop, which can be resumed bit for bit at any iteration.

    Every random number is drawn after seeding with the run's seed and the number of the
    iteration, or of the sample (:class:`SeededSampler`), so there is no random state to save.
    A resumed run also

    - takes the order of the data from the checkpoint's seed and enters it at the right position
      without reading earlier batches (mmengine reads them all, and draws a new order if the config
      has no seed);
    - first runs a validation that was due but had not finished when the run stopped;
    - follows the config's schedule if ``max_iters`` was changed (:func:`follow_schedule`).

    Args:
        runner: Any runner of mmengine.
        dataloader: Config of a loader with a :class:`SeededSampler`, whose seeds are passed to the
            data set.
        **kwargs: As in IterBasedTrainLoop.

    Raises:
        ValueError: The loader has another sampler, or a batch sampler.
    """

    def __init__(self, runner: Runner, dataloader: dict, **kwargs: object) -> None:
        super().__init__(runner, _seeded_loader(runner, dataloader), **kwargs)
        self._own_seed = 'seed' in dataloader['sampler']

    def run(self) -> nn.Module:
        """Train from the iteration of the checkpoint, or from the first."""
        planned = self.runner.message_hub.runtime_info.get('max_iters')
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        if self._iter > 0:
            self._continue(planned)
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._validate_if_due()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_iter(self, data_batch: Sequence[dict]) -> None:
        seed_iteration(self.runner.seed, self._iter)
        super().run_iter(data_batch)

    def _continue(self, planned: int | None) -> None:
        sampler = self.dataloader.sampler
        if not self._own_seed:
            sampler.seed = shared_seed(self.runner.seed)  # by now the checkpoint's
        sampler.start = self._iter * self.dataloader.batch_size
        self.dataloader_iterator = iter(self.dataloader)
        if planned not in (None, self._max_iters):
            follow_schedule(self.runner, self._iter)
            print_log(
                f'max_iters was {planned} and is {self._max_iters} now: the learning rate '
                f'continues as in a run planned for {self._max_iters} iterations',
                logger='current',
            )
        if self._iter >= self._max_iters:
            reached = f'iteration {self._iter} of {self._max_iters} is already reached'
            print_log(reached, logger='current')
        self._validate_if_due()

    def _validate_if_due(self) -> None:
        self._decide_current_val_interval()
        last = self._iter == self._max_iters
        due = self._iter >= self.val_begin and (self._iter % self.val_interval == 0 or last)
        hub = self.runner.message_hub
        if self.runner.val_loop and due and hub.runtime_info.get(_VALIDATED) != self._iter:
            # Before the validation, since that writes the checkpoint of a best score.
            hub.update_info(_VALIDATED, self._iter)
            seed_iteration(self.runner.seed, self._iter)  # for a metric that samples
            self.runner.val_loop.run()


def _seeded_loader(runner: Runner, dataloader: dict) -> DataLoader:
    sampler = dataloader['sampler']['type']
    if sampler not in ('SeededSampler', SeededSampler) or 'batch_sampler' in dataloader:
        raise ValueError(
            "train_cfg.type='ResumableTrainLoop' needs train_dataloader.sampler.type="
            f"'SeededSampler' and no batch_sampler, but the sampler is {sampler!r} and the batch "
            f'sampler {dataloader.get("batch_sampler")!r}; set the sampler, or train with '
            "train_cfg.type='IterBasedTrainLoop'"
        )
    dataset = SeededDataset(DATASETS.build(dataloader['dataset']))
    return runner.build_dataloader(dict(dataloader, dataset=dataset), seed=shared_seed(runner.seed))


def follow_schedule(runner: Runner, iterations: int) -> None:
    """Replay the config's schedule from its start, in place, as in a run started with this config.

    A checkpoint holds the schedule it was trained with, including its end, beyond which the
    learning rate would stay at its last value: zero for PolyLR.
    """
    if not isinstance(runner.param_schedulers, list):
        return
    for group in runner.optim_wrapper.param_groups:
        group.update({k.removeprefix('initial_'): v for k, v in group.items() if 'initial_' in k})
    runner.param_schedulers = runner.build_param_scheduler(runner.cfg.param_scheduler)
    by_iteration = [scheduler for scheduler in runner.param_schedulers if not scheduler.by_epoch]
    with warnings.catch_warnings():
        # "scheduler.step() before optimizer.step()", which is intended here
        warnings.simplefilter('ignore', UserWarning)
        for _ in range(iterations):
            for scheduler in by_iteration:
                scheduler.step()
