"""Curves of a training, drawn from its own records."""

import os
from collections import defaultdict
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ....visualization import training_curves
from ..work_dir import logged_scalars

SCORES = {'mIoU': 'mIoU', 'mBF1': 'boundary F1'}


@HOOKS.register_module()
class CurvesHook(Hook):
    """Draw loss, mIoU and boundary F1 as ``curves.png`` in the work dir while a model trains.

    The picture is replaced after each validation and at the end. It shows what all starts of the
    run have logged, so also what came before a resume; this is read from ``vis_data/scalars.json``,
    which mmengine's ``LocalVisBackend`` writes. If drawing fails, a warning is logged and training
    continues.
    """

    priority = 'VERY_LOW'  # after the LoggerHook

    def __init__(self) -> None:
        self._training = False

    def before_train(self, runner: Runner) -> None:
        self._training = True

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        if self._training:  # a validation alone leaves the work dir as it was
            self._draw(runner)

    def after_train(self, runner: Runner) -> None:
        self._draw(runner)
        self._training = False

    @master_only
    def _draw(self, runner: Runner) -> None:
        try:
            draw_curves(Path(runner.work_dir))
        except Exception as error:  # whatever it is, it is not worth a training
            runner.logger.warning(f'curves.png was not drawn, and training goes on: {error!r}')


def draw_curves(work_dir: Path) -> None:
    """Draw ``curves.png``; a picture is complete whenever it is there."""
    curves, by_epoch = read_curves(work_dir)
    if not curves:
        return
    losses = curves.pop('loss', {})
    scores = {SCORES[name]: values for name, values in sorted(curves.items(), reverse=True)}
    partial = work_dir / 'curves.png.partial'
    figure = training_curves(losses, scores, 'epoch' if by_epoch else 'iteration')
    figure.savefig(partial, format='png', dpi=110)
    os.replace(partial, work_dir / 'curves.png')


def read_curves(work_dir: Path) -> tuple[dict[str, dict[int, float]], bool]:
    """Loss and scores of a run by the step of their record, and whether scores are by epoch.

    What a resumed run logs takes the place of everything from that step on.
    """
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    by_epoch = False
    for record in logged_scalars(work_dir):
        by_epoch |= 'epoch' in record
        for name in ('loss', *SCORES):
            if name in record:
                values, step = curves[name], record['step']
                while values and next(reversed(values)) >= step:
                    values.popitem()
                values[step] = record[name]
    return curves, by_epoch
