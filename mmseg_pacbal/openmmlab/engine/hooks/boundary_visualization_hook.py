"""Pictures of weights, loss and prediction while a model trains."""

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from mmseg.structures import SegDataSample
from torch import nn

from ....losses import BoundaryAwareLoss
from ....metrics.label_counts import mean_outside_void
from ....ops import boundary_weight_map
from ....ops.arguments import POSITIVE_INT, check_arguments
from ....visualization import panel_figure
from ....visualization.panels import rendered
from ...inspection import (
    boundary_loss,
    inspect_sample,
    last_head,
    pixel_loss_name,
    spaced_indices,
    weight_name,
)
from ..runner import unwrapped


@HOOKS.register_module()
class BoundaryVisualizationHook(Hook):
    """Log weights, loss and prediction of a few validation images through mmengine's visualizer.

    Before the first iteration and after every ``interval`` iterations it adds

    - ``boundary_<name of the image>``: image, label, E_G, the loss that the head trains with
      and the prediction, side by side. The images are the same every time, evenly spaced
      over the validation set;
    - ``mean_E_G`` (not before the first iteration): the mean of E_G, before any ``normalize``,
      over the pixels of the training batch that are not void: the factor by which the literal
      weights enlarge the loss. With several processes, the batch of the first one is used.

    If the decode head has no BoundaryAwareLoss, E_G is that of one with the default arguments.
    The hook does not change training: weights, statistics and random states stay as they are.

    Args:
        interval: Number of iterations between two sets of pictures.
        num_images: Number of validation images.

    Raises:
        ValueError: interval or num_images is not a positive integer; or, when training starts,
            there are no validation images, or a loss does not give a value for every pixel.
    """

    def __init__(self, interval: int = 500, num_images: int = 3) -> None:
        sizes = dict(interval=interval, num_images=num_images)
        check_arguments(dict.fromkeys(sizes, POSITIVE_INT), **sizes)
        self.interval = interval
        self.num_images = num_images

    @master_only
    def before_train(self, runner: Runner) -> None:
        if runner.val_loop is None:
            raise ValueError(
                'BoundaryVisualizationHook draws validation images, but the config has none: '
                'val_cfg is None; set val_cfg, val_dataloader and val_evaluator, or remove the '
                'hook from custom_hooks'
            )
        self._add_pictures(runner, runner.iter)

    @master_only
    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict | None = None
    ) -> None:
        if self.every_n_train_iters(runner, self.interval):
            step, model = runner.iter + 1, unwrapped(runner)
            loss, ignore_index = boundary_loss(model), last_head(model).ignore_index
            mean = mean_weight(loss, data_batch['data_samples'], ignore_index)
            runner.visualizer.add_scalar('mean_E_G', mean, step)
            self._add_pictures(runner, step)

    def _add_pictures(self, runner: Runner, step: int) -> None:
        model = unwrapped(runner)
        dataset = runner.val_loop.dataloader.dataset
        meta = dataset.metainfo['classes'], dataset.metainfo['palette']
        names = pixel_loss_name(last_head(model)), weight_name(boundary_loss(model))
        with preserve_state(model):
            for index in spaced_indices(len(dataset), self.num_images):
                row = inspect_sample(model, dataset, index, own_loss=True)
                figure = panel_figure([row], *meta, *names)
                runner.visualizer.add_image(f'boundary_{row.name}', rendered(figure), step)


def mean_weight(
    loss: BoundaryAwareLoss, data_samples: Sequence[SegDataSample], ignore_index: int
) -> float:
    """Mean of E_G over the pixels of some samples that are not void; 0 if all are void."""
    labels = (sample.gt_sem_seg.data.long() for sample in data_samples)  # (1, H, W)
    maps = (
        (boundary_weight_map(label, ignore_index=ignore_index, **loss.map_args), label)
        for label in labels
    )
    mean = mean_outside_void(maps, ignore_index)
    return 0.0 if math.isnan(mean) else mean


@contextmanager
def preserve_state(model: nn.Module) -> Iterator[None]:
    """Restore the train or eval mode of every module, and the random states, at the end."""
    modes = [(module, module.training) for module in model.modules()]
    states = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        for module, training in modes:
            module.training = training
