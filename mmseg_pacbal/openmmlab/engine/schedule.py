"""The learning rate of a run whose length was changed between two starts."""

import warnings

from mmengine.runner import Runner


def follow_schedule(runner: Runner, iterations: int) -> None:
    """Bring the schedulers to where the config has them after some iterations, in place.

    A checkpoint carries the schedule it was trained with, its end included: beyond that end
    the learning rate would stay at its last value, for PolyLR zero. Here the schedule is
    played from the start instead, so that it is the one of a run with this config.
    """
    if not isinstance(runner.param_schedulers, list):
        return
    for group in runner.optim_wrapper.param_groups:
        initial = {k.removeprefix('initial_'): v for k, v in group.items() if 'initial_' in k}
        group.update(initial)
    runner.param_schedulers = runner.build_param_scheduler(runner.cfg.param_scheduler)
    with warnings.catch_warnings():
        # "scheduler.step() before optimizer.step()", which is meant here
        warnings.simplefilter('ignore', UserWarning)
        for _ in range(iterations):
            for scheduler in runner.param_schedulers:
                if not scheduler.by_epoch:
                    scheduler.step()
