"""The learning rate of a run that is resumed with another length."""

import warnings

from mmengine.runner import Runner


def follow_schedule(runner: Runner, iterations: int) -> None:
    """Set the schedulers to their state after some iterations of the config's schedule, in place.

    A checkpoint holds the schedule it was trained with, including its end, beyond which the
    learning rate would stay at its last value: zero for PolyLR. Here the config's schedule is
    replayed from its start instead, as in a run that was started with this config.
    """
    if not isinstance(runner.param_schedulers, list):
        return
    for group in runner.optim_wrapper.param_groups:
        initial = {k.removeprefix('initial_'): v for k, v in group.items() if 'initial_' in k}
        group.update(initial)
    runner.param_schedulers = runner.build_param_scheduler(runner.cfg.param_scheduler)
    with warnings.catch_warnings():
        # "scheduler.step() before optimizer.step()", which is intended here
        warnings.simplefilter('ignore', UserWarning)
        for _ in range(iterations):
            for scheduler in runner.param_schedulers:
                if not scheduler.by_epoch:
                    scheduler.step()
