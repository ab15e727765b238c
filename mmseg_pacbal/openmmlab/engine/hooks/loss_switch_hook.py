"""Training with one loss first and with another one after it."""

from collections.abc import Sequence
from typing import cast

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn

from ....ops.arguments import SHARE, check_arguments

ACCEPTED = dict(at=SHARE)


@HOOKS.register_module()
class LossSwitchHook(Hook):
    """Train the decode head with some of its losses at first, and with others from a moment on.

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
        check_arguments(ACCEPTED, at=at)
        self.first, self.then, self.at = list(first), list(then), at
        self._losses: dict[str, nn.Module] = {}

    def before_train(self, runner: Runner) -> None:
        """Find the losses by their names."""
        self._losses = {str(loss.loss_name): loss for loss in _losses(_head(runner))}
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
        head = _head(runner)
        if [loss.loss_name for loss in _losses(head)] == names:
            return
        head.loss_decode = nn.ModuleList(self._losses[name] for name in names)
        logged = runner.message_hub.log_scalars  # a mean over the last values, also of old ones
        for name in self._losses.keys() - set(names):
            logged.pop(f'train/decode.{name}', None)

    def after_train(self, runner: Runner) -> None:
        """Give the head all of its losses again."""
        _head(runner).loss_decode = nn.ModuleList(self._losses.values())


def _head(runner: Runner) -> nn.Module:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return model.decode_head


def _losses(head: nn.Module) -> list[nn.Module]:
    losses = head.loss_decode
    return [*losses] if isinstance(losses, nn.ModuleList) else [cast(nn.Module, losses)]
