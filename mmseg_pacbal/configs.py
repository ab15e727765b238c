"""Configs: where the shipped ones are, how others inherit them, how to load and search them."""

from __future__ import annotations

import copy
import difflib
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from .errors import one_sentence

if TYPE_CHECKING:  # the names of options and of shipped configs are had without OpenMMLab
    from mmengine.config import Config, ConfigDict
    from mmengine.registry import Registry

_PACKAGE = Path(__file__).resolve().parent
# In a wheel configs and tools are in the package, as MMSegmentation's are; in a checkout beside it.
_ROOTS = (_PACKAGE / '.mim', _PACKAGE.parent)

# Variables that a config uses in several places. mmengine copies their values to those places when
# it reads the file, so overriding a variable later would have no effect: see _propagate.
_OF_DATASETS = ('data_root', 'img_suffix', 'seg_map_suffix')
PROPAGATED = (*_OF_DATASETS, 'crop_size', 'max_iters', 'optimizer')


def config_path(name: str) -> str:
    """Absolute path of a shipped config, for the ``_base_`` of your own.

    mmengine evaluates ``_base_`` with builtins only, so a config inherits with
    ``_base_ = __import__('mmseg_pacbal').config('pac_bal_voc.py')`` or, if the package was
    imported before parsing, with ``_base_ = 'mmseg_pacbal::pac_bal_voc.py'``.

    Args:
        name: Path below ``configs``, ``'pac_bal_voc.py'`` for example.

    Raises:
        FileNotFoundError: No config has this name; the message lists those that exist.
    """
    root = _shipped('configs')
    if not (root / name).is_file():
        listed = ', '.join(sorted(path.name for path in root.glob('*.py')))
        raise FileNotFoundError(
            f'no config {name!r} is shipped; available are {listed} and those in ablation/'
        )
    return str(root / name)


def tools_folder() -> Path:
    """Where ``train.py`` and the other tools are."""
    return _shipped('tools')


def _shipped(name: str) -> Path:
    return next(root / name for root in _ROOTS if (root / name).is_dir())


def config(name: str) -> str:
    """The short name of :func:`config_path`, for a ``_base_`` line; both stay."""
    return config_path(name)


def load_config(path: str, options: dict | None = None) -> Config:
    """Parse a config and change settings; those of PROPAGATED are copied to where they are used.

    Args:
        path: Path of the config.
        options: Settings by their dotted names, such as ``{'train_dataloader.batch_size': 4}``.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: It does not parse, or an option does not fit it.
    """
    from mmengine.config import Config

    file = find_config(path)
    if file != path:
        say(f'config: {path} is the one of this package, {file}')
    try:
        cfg = Config.fromfile(file)
    except Exception as error:
        raise ValueError(f'config {path} does not parse: {one_sentence(error)}') from error
    change_settings(cfg, options or {})
    return cfg


def find_config(path: str) -> str:
    """A config's file; ``configs/NAME`` is a shipped one where there is no such file.

    So what is said for a clone, where they lie there, holds for a wheel, which has them inside.
    """
    shipped = _shipped('configs').parent / path
    if Path(path).is_file():
        return path
    if Path(path).parts[:1] == ('configs',) and shipped.is_file():
        return str(shipped)
    raise FileNotFoundError(
        f'config {path} does not exist; give the path of a config file, such as '
        'configs/pac_bal_demo.py'
    )


def change_settings(cfg: Config, options: dict) -> None:
    """Change settings of a parsed config in place, as ``load_config`` does."""
    _check_keys(cfg, options)
    try:
        # A copy, as mmengine takes _delete_ out of it: findings/mmengine_merge_takes_delete.sh.
        cfg.merge_from_dict(copy.deepcopy(options))
    except (KeyError, TypeError, AssertionError) as error:
        raise ValueError(f'settings do not fit {cfg.filename}: {one_sentence(error)}') from error
    _propagate(cfg, options)


def _check_keys(cfg: Config, options: dict) -> None:
    """Refuse what names none of a list; print which new keys, which nothing may read, are spelt
    almost like one that is there.
    """
    for option in options:
        node: Any = cfg._cfg_dict
        keys = option.split('.')
        for depth, key in enumerate(keys):
            if isinstance(node, (list, tuple)):
                if key not in map(str, range(len(node))):
                    raise ValueError(
                        f'{option} names none of {".".join(keys[:depth])}, which is a list; '
                        f'accepted are numbers from 0 to {len(node) - 1}, as in '
                        f'{".".join([*keys[:depth], "0", *keys[depth + key.isdigit() :]])}'
                    )
                node = node[int(key)]
            elif isinstance(node, dict):
                close = difflib.get_close_matches(key, map(str, node), n=1, cutoff=0.8)
                if key not in node and close:
                    say(f'config: {option} is new, maybe read by nothing; {close[0]} is there')
                node = node.get(key)


def walk(node: object, path: str = '') -> Iterator[tuple[str, ConfigDict]]:
    """All dicts of a config tree, with their dotted names."""
    children: Iterable[tuple[object, object]] = ()
    if isinstance(node, dict):
        yield path, node
        children = list(node.items())
    elif isinstance(node, (list, tuple)):
        children = enumerate(node)
    for name, child in children:
        yield from walk(child, f'{path}.{name}' if path else str(name))


def datasets(cfg: Config, loader: str) -> Iterator[tuple[str, ConfigDict]]:
    """Configs of the data sets that a loader reads, also inside wrappers, with dotted names.

    There are none if the loader is None, as ``val_dataloader`` of a training without validation.
    """
    for path, node in walk((cfg.get(loader) or {}).get('dataset'), f'{loader}.dataset'):
        if 'data_prefix' in node or 'data_root' in node:
            yield path, node


def heads(cfg: Config) -> Iterator[tuple[str, ConfigDict]]:
    """Configs of the model's heads, auxiliary ones included, with their names."""
    # Test-time augmentation wraps the model.
    place = 'model.module' if 'module' in cfg.model else 'model'
    for name in ('decode_head', 'auxiliary_head'):
        head = get_setting(cfg, place).get(name) or []
        if isinstance(head, (list, tuple)):
            yield from ((f'{place}.{name}.{i}', one) for i, one in enumerate(head))
        else:
            yield f'{place}.{name}', head


def evaluators(cfg: Config) -> list[ConfigDict]:
    """Configs of the test's metrics; a config may have one or a list."""
    test = cfg.test_evaluator
    return [*test] if isinstance(test, (list, tuple)) else [test]


def get_setting(cfg: Config, name: str) -> Any:
    """The value under a dotted name."""
    return functools.reduce(lambda node, key: node[key], name.split('.'), cfg)


def type_name(cfg: Mapping) -> str:
    """What a config's ``type`` names: a name with or without its scope, or a class."""
    kind = cfg.get('type')
    return str(getattr(kind, '__name__', kind)).rpartition('.')[2]


def type_class(registry: Registry, cfg: Mapping) -> Any:
    """The class that a config's ``type`` names in a registry or is; None if there is none."""
    kind = cfg.get('type')
    return registry.get(kind) if isinstance(kind, str) else kind


def set_values(places: Iterable[tuple[str, ConfigDict]], key: str, value: object) -> None:
    """Set a value in several places of a config, and print each change.

    All that this package changes on its own between a config's file and the runner goes through
    this function: what runs is the config with your options, plus the printed lines.
    """
    for path, node in places:
        if node.get(key) != value:
            node[key] = value
            say(f'config: {path}{"." if path else ""}{key} = {value!r}')


def is_first_process(launcher: str | None = None) -> bool:
    """Whether this process is the main one, of those that a launcher has started.

    With ``--launcher none`` each of several that Slurm started trains by itself, and is.
    """
    ranks = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
    own = next((os.environ[rank] for rank in ranks if rank in os.environ), '0')
    return launcher == 'none' or own == '0'


def say(sentence: str, stream: TextIO | None = None) -> None:
    """Print in one of several processes, to standard output unless told otherwise."""
    if is_first_process():
        print(sentence, file=stream, flush=True)


def _propagate(cfg: Config, options: dict) -> None:
    """Copy those variables of PROPAGATED that were overridden to the places that use them.

    A config, say of a test alone, need not have all of these.
    """
    for name in options:
        if name.split('.')[0] == 'optimizer' and cfg.get('optim_wrapper'):
            place, _, key = f'optim_wrapper.{name}'.rpartition('.')
            set_values([(place, get_setting(cfg, place))], key, get_setting(cfg, name))
    for key in _OF_DATASETS:
        for name in ('train', 'val', 'test') if key in options else ():
            set_values(datasets(cfg, f'{name}_dataloader'), key, cfg[key])
    if 'crop_size' in options:
        cfg.crop_size = _pair(cfg.crop_size)
        nodes = walk(cfg.get('train_dataloader'), 'train_dataloader')
        crops = [place for place in nodes if 'crop_size' in place[1]]
        set_values(crops, 'crop_size', cfg.crop_size)
        if preprocessor := (cfg.get('model') or {}).get('data_preprocessor'):
            set_values([('model.data_preprocessor', preprocessor)], 'size', cfg.crop_size)
    if 'max_iters' in options and cfg.get('train_cfg'):
        _follow_max_iters(cfg)


def _follow_max_iters(cfg: Config) -> None:
    """Set the length of training, and let what ended with the earlier one end with it.

    A schedule names its length by its ``end``, or counts it from its ``begin``.
    """
    before = cfg.train_cfg.get('max_iters')
    set_values([('train_cfg', cfg.train_cfg)], 'max_iters', cfg.max_iters)
    for place in walk(cfg.get('param_scheduler'), 'param_scheduler'):
        node = place[1]
        begin = node.get('begin', 0)
        if not isinstance(begin, int) or node.get('by_epoch', True):
            continue
        if type_name(node) == 'PolyLR' or (before is not None and node.get('end') == before):
            set_values([place], 'end', cfg.max_iters)
        for length in ('T_max', 'total_steps', 'total_iters'):
            if before is not None and node.get(length) == before - begin:
                set_values([place], length, cfg.max_iters - begin)
        end = node.get('end')
        if isinstance(end, int) and end > cfg.max_iters:  # a warm-up, which the user chooses
            say(
                f'config: {place[0]}.end = {end} lies beyond the {cfg.max_iters} iterations of the '
                f'training; for a shorter warm-up give {place[0]}.end={max(1, cfg.max_iters // 10)}'
            )


def _pair(size: object) -> tuple[int, int]:
    pair = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    if len(pair) != 2 or not all(isinstance(n, int) and n > 0 for n in pair):
        raise ValueError(f'crop_size must be height,width in pixels, but got {size!r}')
    return pair
