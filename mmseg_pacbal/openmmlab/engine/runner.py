"""The runner that our configs name: its data loaders check every sample."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import RUNNERS
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ...configs import set_values
from ...ops.factorized import with_plain_layout
from ..completion import infer_settings
from ..data_checks.samples import CheckedPipeline, base_datasets, common_folder
from ..terminal import bars_of, keep_short
from .processes import protect_workers
from .work_dir import locked


@RUNNERS.register_module()
class CheckedRunner(Runner):
    """mmengine's Runner with a :class:`CheckedPipeline` in every data set of MMSegmentation.

    Errors name the file, and wrong masks are refused. While it trains, no other training may use
    its work dir. On a terminal a bar shows the time left; the environment, the config and the list
    of hooks are in the log file alone. MMSegmentation's ``tools/train.py`` builds it if the config
    says ``runner_type='CheckedRunner'``.
    """

    @classmethod
    def from_cfg(cls, cfg: Config) -> Runner:
        check_compiler(cfg)
        infer_settings(cfg)  # done already where our tools have read the config
        return super().from_cfg(cfg)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        keep_short(logger, logger.log_file)
        return logger

    def dump_config(self) -> None:
        """Write nothing yet: a test leaves the config that training wrote to the work dir."""

    def train(self) -> nn.Module:
        """Lock the work dir, write the config there unless it is the user's own file, and train."""
        with locked(self.work_dir) if is_main_process() else nullcontext():
            source = self.cfg.filename
            target = Path(self.work_dir, Path(source or '').name)
            here = source is not None and target.is_file() and target.samefile(source)
            if not here or target.read_text() == Config.fromfile(source).pretty_text:
                super().dump_config()
            with bars_of(self):
                return super().train()

    def val(self) -> dict:
        with bars_of(self):
            return super().val()

    def test(self) -> dict:
        with bars_of(self):
            return super().test()

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> dict:
        """What the optimizer kept of PAC's filter gets that filter's layout of today.

        Older versions had outputs innermost in memory. Fused optimizers of torch (2.13) pair what
        stands at the same place in memory, whatever the strides.
        """
        checkpoint = super().load_checkpoint(*args, **kwargs)
        for state in checkpoint.get('optimizer', {}).get('state', {}).values():
            for name, value in state.items():
                if isinstance(value, Tensor) and value.dim() == 4:
                    state[name] = with_plain_layout(value)
        return checkpoint

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        # Before the workers start, since each of them copies the data set.
        datasets = [*base_datasets(loader.dataset)]
        for dataset in datasets:
            dataset.pipeline = CheckedPipeline(dataset, common_folder(datasets))
        protect_workers(loader)
        return loader


def build_runner(cfg: Config) -> Runner:
    """The runner that a config names; a :class:`CheckedRunner` if it names none."""
    if 'runner_type' not in cfg:
        set_values([('', cfg)], 'runner_type', 'CheckedRunner')
    return RUNNERS.build(cfg)


def check_compiler(cfg: Config) -> None:
    """Refuse a compiler whose gradients are wrong."""
    options = cfg.get('compile')
    backend = options.get('backend', 'inductor') if isinstance(options, dict) else 'inductor'
    if options and backend == 'inductor' and (problem := compiler_problem(get_device())):
        raise ValueError(f'compile={options!r} {problem}')


def compiler_problem(device: str) -> str | None:
    """What torch's compiler does wrong on a device: findings/torch_compile_zero_gradients.sh."""
    if device != 'cpu' or not torch.__version__.startswith('2.13.'):
        return None
    return (
        f'trains with gradients of zero on a CPU with torch {torch.__version__}, if the model has '
        'few classes; leave compile out, or install torch 2.14.1 or newer'
    )


def unwrapped(runner: Runner) -> Any:
    """The model of a runner, without the wrapper that several processes need."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
