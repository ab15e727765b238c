"""The arguments of the boundary weights: defaults, presets, and the text to copy."""

import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from mmengine.config import Config

from ...configs import config, heads, load_config
from ...losses import BoundaryAwareLoss
from ...losses.base import VOID
from ...ops.arguments import INT, check_arguments


@dataclass(frozen=True)
class Settings:
    """Arguments of ``BoundaryAwareLoss`` that change the weights, with the void label.

    Raises:
        ValueError: An argument is none that the loss accepts.
    """

    kernel: str
    kernel_size: int
    sigma: float
    beta: float
    downsample: int
    antialias: bool
    void_edges: bool
    ignore_padding: bool
    normalize: str | None
    ignore_index: int

    def __post_init__(self) -> None:
        check_arguments(dict(ignore_index=INT), ignore_index=self.ignore_index)
        self.loss()

    def loss(self) -> BoundaryAwareLoss:
        """The loss with these arguments."""
        return BoundaryAwareLoss(**asdict(self))

    def changed(self) -> dict[str, Any]:
        """The arguments that are not the defaults of the loss."""
        return {name: value for name, value in asdict(self).items() if value != DEFAULTS[name]}


NAMES = tuple(field.name for field in fields(Settings))
_PARAMETERS = inspect.signature(BoundaryAwareLoss).parameters
DEFAULTS: dict[str, Any] = {name: _PARAMETERS[name].default for name in NAMES}
DEFAULTS['ignore_index'] = VOID  # what None means where no head says otherwise


def settings_of(arguments: Mapping[str, Any]) -> Settings:
    """The settings of some arguments of the loss; others are ignored, missing ones are defaults."""
    given = {name: arguments[name] for name in NAMES if arguments.get(name) is not None}
    return Settings(**{**DEFAULTS, **given})


def loss_of_config(cfg: Config) -> dict[str, Any] | None:
    """The arguments of the first ``BoundaryAwareLoss`` of a config's heads; None without one."""
    for _, head in heads(cfg):
        losses = head.get('loss_decode') or ()
        for loss in losses if isinstance(losses, (list, tuple)) else (losses,):
            if loss.get('type') == BoundaryAwareLoss.__name__:
                void = head.get('ignore_index', loss.get('ignore_index'))
                arguments = Config(dict(loss, ignore_index=void)).to_dict()
                return {name: arguments[name] for name in arguments if name != 'type'}
    return None


def settings_of_config(cfg: Config) -> Settings | None:
    """Those of :func:`loss_of_config`."""
    arguments = loss_of_config(cfg)
    return None if arguments is None else settings_of(arguments)


@lru_cache
def paper_rows() -> dict[str, str]:
    """The rows of the paper's Table 1: what a list of presets shows, and the name of the config."""
    tables = yaml.safe_load(Path(config('ablation/paper_tables.yml')).read_text())
    return {
        f'Table 1: {row["name"].removeprefix("bal_").replace("_", " ")} '
        f'(reported: {row["delta_mIoU"]:+.2f} mIoU)': row['name']
        for row in tables['table_1']
    }


@lru_cache
def paper_settings(name: str) -> Settings:
    """The settings of a row of Table 1, by the name of its config."""
    found = settings_of_config(load_config(config(f'ablation/{name}.py')))
    if found is None:
        raise ValueError(f'ablation/{name}.py has no BoundaryAwareLoss')
    return found


def others_of(arguments: Mapping[str, Any] | None) -> dict[str, Any]:
    """Arguments of the loss that the page has no control for, such as ``class_weight``."""
    return {name: value for name, value in (arguments or {}).items() if name not in NAMES}


def config_text(settings: Settings, others: Mapping[str, Any] = MappingProxyType({})) -> str:
    """What to add to a config of MMSegmentation; only arguments that differ from the defaults.

    Args:
        settings: Those of the weights.
        others: Further arguments of the loss.
    """
    arguments = {**settings.changed(), **others}
    # The head passes its own to the loss, and an error says so if the two differ.
    void = arguments.pop('ignore_index', None)
    lines = [f'            {name}={value!r},' for name, value in arguments.items()]
    head = [] if void is None else [f'        ignore_index={void!r},']
    return '\n'.join(
        [
            "custom_imports = dict(imports=['mmseg_pacbal'])",
            'model = dict(',
            '    decode_head=dict(',
            *head,
            '        loss_decode=dict(',
            '            _delete_=True,',
            "            type='BoundaryAwareLoss',",
            *lines,
            '        ),',
            '    )',
            ')',
        ]
    )


def python_text(settings: Settings, others: Mapping[str, Any] = MappingProxyType({})) -> str:
    """The same in Python."""
    arguments = {**settings.changed(), **others}
    lines = ''.join(f'    {name}={value!r},\n' for name, value in arguments.items())
    given = f'\n{lines}' if lines else ''
    return (
        'from mmseg_pacbal import BoundaryAwareLoss\n\n'
        f'loss = BoundaryAwareLoss({given})\n'
        'value = loss(logits, label)  # (N, C, H, W), (N, H, W)'
    )
