"""Configs: where the shipped ones lie, how others inherit them, how they are read and walked."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config, ConfigDict

from .errors import one_sentence

_PACKAGE = Path(__file__).resolve().parent
# A wheel carries the configs inside the package, as MMSegmentation's does; a checkout beside it.
_CONFIG_ROOTS = (_PACKAGE / '.mim' / 'configs', _PACKAGE.parent / 'configs')

# Values that a config uses in several places. mmengine copies a variable's value to where the
# file uses it, so overriding the variable later would change nothing: see _spread.
SPREAD = ('data_root', 'crop_size', 'max_iters', 'optimizer')


def config(name: str) -> str:
    """Absolute path of a shipped config, for ``_base_`` of one's own.

    mmengine evaluates ``_base_`` with builtins only, so a config inherits with
    ``_base_ = __import__('mmseg_pacbal').config('pac_bal_voc.py')``, or, where the package was
    imported before parsing, with ``_base_ = 'mmseg_pacbal::pac_bal_voc.py'``.

    Args:
        name: Path below ``configs``, ``'pac_bal_voc.py'`` for example.

    Raises:
        FileNotFoundError: There is no such config; the message lists those there are.
    """
    root = next(root for root in _CONFIG_ROOTS if root.is_dir())
    if not (root / name).is_file():
        listed = ', '.join(sorted(path.name for path in root.glob('*.py')))
        raise FileNotFoundError(
            f'no config {name!r} is shipped; there are {listed} and those in ablation/'
        )
    return str(root / name)


def register_scheme() -> None:
    """Let ``_base_ = 'mmseg_pacbal::pac_bal_voc.py'`` name a shipped config.

    mmengine knows this form for the packages in a table of its own. An entry there would not do:
    it asks for a folder in the name, for a distribution whose files lie in site-packages (those of
    an editable install do not), and for a registry of the package's name.
    """
    resolve = Config._get_cfg_path

    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        package, _, name = cfg_path.partition('::')
        return (config(name), None) if package == 'mmseg_pacbal' else resolve(cfg_path, filename)

    Config._get_cfg_path = staticmethod(get_cfg_path)


def load_config(path: str, options: dict | None = None) -> Config:
    """Parse a config and apply ``--cfg-options``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not parse, or an option does not fit it.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'config {path} does not exist; give the path of a config file, such as '
            'configs/pac_bal_demo.py'
        )
    try:
        cfg = Config.fromfile(path)
    except Exception as error:
        raise ValueError(
            f'config {path} does not parse: {one_sentence(error)}{_environment_read(path)}'
        ) from error
    try:
        cfg.merge_from_dict(options or {})
    except (KeyError, TypeError, AssertionError) as error:
        raise ValueError(f'--cfg-options do not fit {path}: {one_sentence(error)}') from error
    _spread(cfg, options or {})
    return cfg


def datasets(loader: ConfigDict) -> Iterator[ConfigDict]:
    """Configs of the data sets a loader reads, those inside wrappers included."""
    for node in walk(loader.dataset):
        if 'data_prefix' in node or 'data_root' in node:
            yield node


def evaluators(cfg: Config) -> list[ConfigDict]:
    """Configs of the metrics of the test, of which a config may have one or a list."""
    test = cfg.test_evaluator
    return [*test] if isinstance(test, (list, tuple)) else [test]


def walk(node: object) -> Iterator[ConfigDict]:
    """Every dict of a config tree."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from walk(child)


def _environment_read(path: str) -> str:
    """What a config that does not parse takes from the environment, as ``{{$NAME:default}}``."""
    text = Path(path).read_text(errors='replace')
    defaults = dict(re.findall(r'\{\{\s*\$(\w+)\s*:\s*(\S*?)\s*\}\}', text))
    return ''.join(
        f'; it takes {name}={os.environ[name]} from the environment: unset {name} for {default}, '
        'or give another value'
        for name, default in defaults.items()
        if name in os.environ
    )


def _spread(cfg: Config, options: dict) -> None:
    """Carry the variables of SPREAD that were overridden to where the config uses them."""
    own = {key: value for key, value in options.items() if key.split('.')[0] == 'optimizer'}
    cfg.merge_from_dict({f'optim_wrapper.{key}': value for key, value in own.items()})
    if 'data_root' in options:
        for name in ('train', 'val', 'test'):
            for dataset in datasets(cfg[f'{name}_dataloader']):
                dataset.data_root = cfg.data_root
    if 'crop_size' in options:
        cfg.crop_size = _pair(cfg.crop_size)
        cfg.model.data_preprocessor.size = cfg.crop_size
        for node in walk(cfg.train_dataloader):
            if 'crop_size' in node:
                node.crop_size = cfg.crop_size
    if 'max_iters' in options:
        cfg.train_cfg.max_iters = cfg.max_iters
        for scheduler in cfg.param_scheduler:
            if scheduler.type == 'PolyLR':
                scheduler.end = cfg.max_iters


def _pair(size: object) -> tuple[int, int]:
    pair = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    if len(pair) != 2 or not all(isinstance(n, int) and n > 0 for n in pair):
        raise ValueError(f'crop_size must be height,width in pixels, but got {size!r}')
    return pair
