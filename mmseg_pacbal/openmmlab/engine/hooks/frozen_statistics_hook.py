"""Batch norm that keeps the statistics it was pretrained with."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch.nn.modules.batchnorm import _BatchNorm

from ....ops.arguments import Accepted, check_arguments

ACCEPTED = dict(
    module=Accepted("a name such as 'backbone'", lambda v: isinstance(v, str) and v != '')
)


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
        check_arguments(ACCEPTED, module=module)
        self.module = module

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Done in each iteration, since the loop puts the whole model into training mode."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        norms = [m for m in model.get_submodule(self.module).modules() if isinstance(m, _BatchNorm)]
        if not norms:
            raise ValueError(f'module must be a part with batch norms, but got {self.module!r}')
        for norm in norms:
            norm.eval()
