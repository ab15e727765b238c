"""Small hooks: memory layout, frozen statistics, losses in turn, the record of a test."""

from collections.abc import Sequence

import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook, LoggerHook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ....ops.arguments import SHARE, Accepted, check_arguments
from ...heads import head_losses
from ...inspection import last_head
from ..runner import unwrapped

NAME = Accepted("a name such as 'backbone'", lambda v: isinstance(v, str) and v != '')


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keep the model's weights in ``torch.channels_last`` while it trains and while it is tested.

    Images need not be converted: a convolution whose weight has this layout gives features in it,
    in float32 and bfloat16 on a CPU and on a GPU. Results differ by rounding alone. Whether a step
    becomes faster depends on network, dtype and device, so measure it. With several processes torch
    warns that strides of gradients and buckets do not match; this costs a copy and changes nothing.

    Source:
        `Channels Last Memory Format in PyTorch
        <https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html>`_.
    """

    def before_run(self, runner: Runner) -> None:
        """Change the layout in place, before the weights of a checkpoint are copied in."""
        runner.model.to(memory_format=torch.channels_last)


@HOOKS.register_module()
class FrozenStatisticsHook(Hook):
    """Let the batch norms of a part of the model normalise with their running statistics.

    They are in evaluation mode while the rest trains, so that neither small batches nor another
    data set change the statistics; scale and shift are trained. This is ``norm_eval=True`` of
    MMSegmentation's ResNet for backbones without that option, such as ``TIMMBackbone``.

    Args:
        module: Dotted name of the part within the model.

    Raises:
        ValueError: module is not a name, or the part has no batch norm.
        AttributeError: The model has no such part.
    """

    def __init__(self, module: str = 'backbone') -> None:
        check_arguments(dict(module=NAME), module=module)
        self.module = module

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Done in each iteration, since the loop puts the whole model into training mode."""
        part = unwrapped(runner).get_submodule(self.module)
        norms = [module for module in part.modules() if isinstance(module, _BatchNorm)]
        if not norms:
            raise ValueError(f'module must be a part with batch norms, but got {self.module!r}')
        for norm in norms:
            norm.eval()


@HOOKS.register_module()
class LossSwitchHook(Hook):
    """Train the decode head with some of its losses at first, and with others from a moment on.

    Of a cascade it is the head that predicts, the last one.
    The head names all of them in ``loss_decode``, a list. Those that are not in use are not
    computed. What is in use follows from the iteration alone, so a resumed run is exact.

    Args:
        first: Names of the losses, as in the log (``'loss_bal'``), before the switch.
        then: Names of the losses after it.
        at: When to switch, as a share of the training's iterations.

    Raises:
        ValueError: at is not between 0 and 1, or the head has no loss of such a name.

    Source:
        Berman et al., `The Lovász-Softmax loss <https://arxiv.org/abs/1705.08790>`_: cross entropy
        first, then fine-tuning with the Lovász loss.
    """

    def __init__(self, first: Sequence[str], then: Sequence[str], at: float = 0.5) -> None:
        check_arguments(dict(at=SHARE), at=at)
        self.first, self.then, self.at = list(first), list(then), at
        self._losses: dict[str, nn.Module] = {}

    def before_train(self, runner: Runner) -> None:
        """Find the losses by their names."""
        losses = head_losses(last_head(unwrapped(runner)))
        self._losses = {str(loss.loss_name): loss for loss in losses}
        for name in (*self.first, *self.then):
            if name not in self._losses:
                raise ValueError(
                    f'LossSwitchHook needs losses of the decode head, {", ".join(self._losses)}, '
                    f'but got {name!r}'
                )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Give the head the losses of this iteration."""
        names = self.first if runner.iter < self.at * runner.max_iters else self.then
        head = last_head(unwrapped(runner))
        if [loss.loss_name for loss in head_losses(head)] == names:
            return
        head.loss_decode = nn.ModuleList(self._losses[name] for name in names)
        heads = unwrapped(runner).decode_head
        prefix = f'decode_{len(heads) - 1}' if isinstance(heads, nn.ModuleList) else 'decode'
        logged = runner.message_hub.log_scalars  # a mean over the last values, also of old ones
        for name in self._losses.keys() - set(names):
            logged.pop(f'train/{prefix}.{name}', None)

    def after_train(self, runner: Runner) -> None:
        """Give the head all of its losses again."""
        last_head(unwrapped(runner)).loss_decode = nn.ModuleList(self._losses.values())


@HOOKS.register_module()
class MainProcessLoggerHook(LoggerHook):
    """mmengine's LoggerHook, but only the main process writes the JSON record of a test.

    In mmengine 0.10.7 all processes write their records to the same file at the same time.
    """

    @master_only
    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        super().after_test_epoch(runner, metrics)
