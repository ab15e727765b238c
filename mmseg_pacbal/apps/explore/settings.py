"""Arguments of the loss that change the weights: presets, controls, and the text to copy."""

from collections import namedtuple
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from mmengine.config import Config

from ...configs import config, heads, load_config, type_name
from ...datasets.palette import VOID
from ...losses import BoundaryAwareLoss
from ...ops.arguments import INT, check_arguments
from ...ops.boundary_weight import KERNELS

Settings = namedtuple(
    'Settings',
    'kernel kernel_size sigma beta downsample antialias void_edges ignore_padding '
    'normalize ignore_index',
)
NAMES = Settings._fields
DEFAULTS = Settings(**BoundaryAwareLoss().map_args, normalize=None, ignore_index=VOID)

SLIDERS = {  # least, most, step and what it is
    'kernel_size': (1, 101, 2, 'odd, in shrunken pixels'),
    'sigma': (0.1, 10, 0.1, 'width of the Gaussian'),
    'beta': (0, 3, 0.05, 'the least weight'),
    'downsample': (1, 16, 1, 'of the edges, before the blur'),
}
SWITCHES = {
    'antialias': 'shrinking averages over every edge',
    'void_edges': 'a class that borders on void has an edge',
    'ignore_padding': 'no edge where void fills the end',
}
_CONFIG = """custom_imports = dict(imports=['mmseg_pacbal'])
model = dict(
    decode_head=dict({head}
        loss_decode=dict(
            _delete_=True,
            type='BoundaryAwareLoss',{loss}
        ),
    )
)"""
_PYTHON = """from mmseg_pacbal import BoundaryAwareLoss

loss = BoundaryAwareLoss({loss})
value = loss(logits, label)  # (N, C, H, W), (N, H, W)"""


def settings_of(arguments: Mapping[str, Any]) -> Settings:
    """The settings of some arguments of the loss; others are ignored, missing ones are defaults."""
    given = {name: value for name, value in arguments.items() if value is not None}
    known = {name: given[name] for name in NAMES if name in given}
    return _checked(DEFAULTS._replace(**known))


def settings_from(values: Sequence[Any]) -> Settings:
    """The settings that the controls show; a field that was emptied is None, which is refused."""
    shown = Settings(*values)
    # A slider's 1 is an integer, and its sums are not exact.
    sigma, beta = (None if v is None else round(float(v), 6) for v in (shown.sigma, shown.beta))
    normalize = None if shown.normalize == 'None' else shown.normalize
    return _checked(shown._replace(sigma=sigma, beta=beta, normalize=normalize))


def _checked(settings: Settings) -> Settings:
    check_arguments(dict(ignore_index=INT), ignore_index=settings.ignore_index)
    BoundaryAwareLoss(**settings._asdict())
    return settings


def values_of(settings: Settings) -> list[Any]:
    """What the controls show for some settings."""
    return [*settings._replace(normalize=settings.normalize or 'None')]


def setting_controls(gr: ModuleType, side: str, first: Settings) -> list[Any]:
    """The controls of one setting, in the order of its fields."""

    def control(name: str, value: Any) -> Any:
        given = dict(label=name, elem_id=f'{side}-{name}')
        if name in SLIDERS:
            least, most, step, info = SLIDERS[name]
            return gr.Slider(least, max(most, value), value, step=step, info=info, **given)
        if name in SWITCHES:
            return gr.Checkbox(value, info=SWITCHES[name], **given)
        if name == 'kernel':
            return gr.Radio([*KERNELS], value=value, **given)
        if name == 'normalize':
            choices = [('None', 'None'), ("'mean'", 'mean'), ("'running'", 'running')]
            return gr.Radio(choices, value=value, info='by the mean, here of this label', **given)
        return gr.Number(value, precision=0, **given)

    return [control(*item) for item in zip(NAMES, values_of(first), strict=True)]


def loss_of_config(cfg: Config) -> dict[str, Any] | None:
    """The arguments of the first ``BoundaryAwareLoss`` of a config's heads; None without one.

    The last of a cascade's decode heads, which predicts, comes first.
    """
    by_name = dict(heads(cfg))
    last = [name for name in by_name if '.decode_head' in name][-1:]
    for head in (by_name[name] for name in dict.fromkeys([*last, *by_name])):
        losses = head.get('loss_decode') or ()
        for loss in losses if isinstance(losses, (list, tuple)) else (losses,):
            if type_name(loss) == BoundaryAwareLoss.__name__:
                void = head.get('ignore_index', loss.get('ignore_index'))
                arguments = Config(dict(loss, ignore_index=void)).to_dict()
                return {name: arguments[name] for name in arguments if name != 'type'}
    return None


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
    return settings_of(loss_of_config(load_config(config(f'ablation/{name}.py'))) or {})


def texts(settings: Settings, loss_args: Mapping[str, Any]) -> tuple[str, str]:
    """What to add to a config of MMSegmentation, and the same in Python.

    Named are the settings that differ from the defaults, and those in ``loss_args``, the
    config's, that have no control.
    """
    shown = zip(NAMES, settings, DEFAULTS, strict=True)
    loss = {name: value for name, value, default in shown if value != default}
    loss |= {name: value for name, value in loss_args.items() if name not in NAMES}
    given = _lines(loss, 4)
    python = _PYTHON.format(loss=f'{given}\n' if given else '')
    # The head passes its own ignore_index to the loss, and an error says so if the two differ.
    head = {'ignore_index': loss.pop('ignore_index')} if 'ignore_index' in loss else {}
    return _CONFIG.format(head=_lines(head, 8), loss=_lines(loss, 12)), python


def _lines(arguments: Mapping[str, Any], indent: int) -> str:
    return ''.join(f'\n{"":{indent}}{name}={value!r},' for name, value in arguments.items())
