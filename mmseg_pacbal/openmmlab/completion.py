"""Settings that a config leaves open until its data and its backbone are known."""

import copy
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten
from types import NoneType
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from ..configs import (
    PROPAGATED,
    datasets,
    find_config,
    heads,
    load_config,
    say,
    set_values,
    type_class,
    type_name,
    walk,
)
from ..losses.class_weight import read_class_weight
from .data_checks.loaders import check_data
from .datasets.folder import reads_classes_file
from .timm_backbone import follow_timm

SHIPPED_ROOTS = {'data/VOCdevkit/VOC2012', 'data/camvid', 'data/my_data', 'data/synthetic_voc'}
# What configs name once at their top and use in several places below these.
VARIABLES = {name: name for name in (*PROPAGATED, 'num_classes', 'batch_size', 'norm_cfg')}
VARIABLES |= dict(train_pipeline='pipeline', test_pipeline='pipeline')  # by another name
# Parts that the model, or a part of it, builds by their type.
PARTS = ('backbone', 'neck', 'decode_head', 'auxiliary_head', 'loss_decode', 'norm_cfg', 'act_cfg')
say_once = cache(say)  # a runner completes the config once more
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
USED = ('model', 'train_cfg', 'optim_wrapper', *LOADERS)


def load_complete_config(path: str, options: dict | None = None, *loaders: str) -> Config:
    """:func:`.configs.load_config`, :func:`infer_settings` and, of some loaders,
    :func:`.check_data`.
    """
    cfg = load_config(path, options)
    infer_settings(cfg, options or ())
    check_data(cfg, *loaders)
    return cfg


def infer_settings(cfg: Config, options: Iterable[str] = ()) -> None:
    """Set what depends on ``data_root``, on ``classes.txt`` and on a timm backbone.

    - ``data_root`` of all data sets, if a config that inherits a shipped one sets it at its top;
    - ``num_classes`` of all heads, if the data is a ``FolderDataset``;
    - ``in_channels`` of all heads and, if necessary, ``out_indices`` and ``output_stride``, if the
      backbone is timm's (:func:`.timm_backbone.follow_timm`).

    The config is changed in place; every change is printed. So is what a config, or one of the
    options it was changed by, sets at its top in vain. ValueError names a part of the model that
    cannot be built.
    """
    check_parts(cfg)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    for _, node in walk(cfg.model):
        if isinstance(name := node.get('class_weight'), str):
            read_class_weight(name)  # losses of MMSegmentation would run a pickle
    _follow_data_root(cfg)
    _follow_classes(cfg)
    follow_timm(cfg)
    tell_of_idle_variables(cfg, options)


def check_parts(cfg: Config) -> None:
    """Raise ValueError for a part of the model without a type, or none where one must be.

    A config that adds to a part that its base lacks, or deletes what it means to replace, would
    end in a bare KeyError.
    """
    if not isinstance(cfg.get('model'), dict) or 'type' not in cfg.model:
        lack = 'a model has no type' if cfg.get('model') else 'there is no model'
        where = f' in {cfg.filename}' if cfg.filename else ''
        raise ValueError(f'{lack}{where}; inherit one, or set model=dict(type=...)')
    for path, node in walk(cfg.model, 'model'):
        if type_name(node) in ('EncoderDecoder', 'CascadeEncoderDecoder'):
            for name in ('backbone', 'decode_head'):
                if not node.get(name):
                    raise ValueError(f'{path}.{name} is missing; set {path}.{name}=dict(type=...)')
        for name in PARTS:
            if not isinstance(part := node.get(name), (dict, list, tuple, NoneType)):
                raise ValueError(
                    f'{path}.{name} must be a dict with a type, a list of them or None, but got '
                    f'{part!r}'
                )
        name = next(key for key in reversed(path.split('.')) if not key.isdigit())
        if name in PARTS and 'type' not in node:
            has = f'has no type, only {", ".join(map(str, node))}' if node else 'is empty'
            raise ValueError(
                f'{path} {has}, as the inherited config has no {name} to which it is added, or it '
                f'was deleted; set {path}.type and all that the type needs, or {path}=None for none'
            )


def _follow_data_root(cfg: Config) -> None:
    """Give an inheriting config's ``data_root`` to data sets that read the shipped folder.

    mmengine has copied the shipped value to them before the inheriting config sets its own.
    """
    root = cfg.get('data_root')
    places = [place for loader in LOADERS for place in datasets(cfg, loader)]
    read = {str(dataset.get('data_root') or '') for _, dataset in places}
    if root and read and str(root) not in read and read <= SHIPPED_ROOTS:
        set_values(places, 'data_root', root)


def tell_of_idle_variables(cfg: Config, options: Iterable[str] = ()) -> None:
    """Print which :data:`VARIABLES` a config or an option sets at the top, after the base that uses
    them was read: nothing has their values.

    Those of a base are not told of, if the config sets all the places instead.
    """
    source = Path(cfg.filename or '')
    text = source.read_text(encoding='utf-8') if source.is_file() else ''
    inherits = re.search(r'^_base_\s*=|\bread_base\(', text, re.MULTILINE)
    for name, key in VARIABLES.items():
        own = inherits and re.search(rf'^{name}\s*=', text, re.MULTILINE)
        nodes = (place for top in USED for place in walk(cfg.get(top), top))
        values = {f'{path}.{key}': node[key] for path, node in nodes if key in node}
        if not (own or name in options) or not values or _has(values.values(), cfg[name]):
            continue
        (first, value), *rest = values.items()
        given, has = (
            repr(v) if isinstance(v, str) else shorten(repr(v), 60) for v in (cfg[name], value)
        )
        more = f', and {rest[0][0]}{", ..." * bool(rest[1:])}' if rest else ''
        say_once(
            f'config: {name} = {given} at the top does not reach {first}, which is {has}; set '
            f'that{more}'
        )


def _has(values: Iterable[Any], value: Any) -> bool:
    """Whether a value is one of some, or a folder above it."""
    folder, value = isinstance(value, str), _plain(value)
    return any(_plain(v) == value or (folder and str(v).startswith(value)) for v in values)


def _plain(value: Any) -> Any:
    """A value without the scopes that mmengine adds to what comes from another package's config."""
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items() if key != '_scope_'}
    return [*map(_plain, value)] if isinstance(value, (list, tuple)) else value


def only_here(cfg: Config, path: str, options: dict | None) -> list[str]:
    """What MMSegmentation's own tools would not do with a config that ours have completed."""
    stock = Config.fromfile(find_config(path))
    bases = [name for name in ('mmseg', 'mmseg_pacbal') if re.search(rf'\b{name}::', stock.text)]
    if re.search(r'__import__\(.mmseg_pacbal', stock.text):  # which prepares both
        bases = []
    stock.merge_from_dict(copy.deepcopy(options or {}))
    if stock.get('runner_type') == 'CheckedRunner':  # which completes the config there, too
        with redirect_stdout(io.StringIO()), suppress(OSError, ValueError):
            infer_settings(stock)
    theirs = {name: _plain(value) for name, value in _leaves(stock)}
    settings = [name for name, value in _leaves(cfg) if theirs.get(name, ...) != _plain(value)]
    if 'mmseg' in bases and find_spec('pkg_resources'):
        bases.remove('mmseg')  # which mmengine finds by it
    return [*(f'the base {name}::...' for name in bases), *settings]


def _leaves(cfg: Config) -> Iterator[tuple[str, Any]]:
    """All settings that are no dicts, nor lists of them, with dotted names."""
    for path, node in walk(cfg._cfg_dict):
        for key, value in node.items():
            several = isinstance(value, (list, tuple)) and any(isinstance(v, dict) for v in value)
            if not several and not isinstance(value, dict):
                yield f'{path}.{key}' if path else key, value


def _follow_classes(cfg: Config) -> None:
    """Give all heads as many classes as ``classes.txt`` names."""
    first, expected = '', None
    for loader in LOADERS:
        for path, dataset in datasets(cfg, loader):
            names = _names_in_file(cfg, dataset)
            if expected and names and names != expected:
                raise ValueError(
                    f'{first} has the classes {", ".join(expected)}, but {path} has '
                    f'{", ".join(names)}; give both the same classes.txt'
                )
            if names and not expected:
                first, expected = path, names
                set_values(heads(cfg), 'num_classes', len(names))


def _names_in_file(cfg: Config, dataset: ConfigDict) -> tuple[str, ...] | None:
    cls = type_class(DATASETS, dataset)
    if not reads_classes_file(cls):
        return None
    try:
        return cls.classes_of(dataset).names
    except FileNotFoundError:
        if all(head.num_classes for _, head in heads(cfg)):
            return None  # a config that was completed earlier can predict without the data
        raise
