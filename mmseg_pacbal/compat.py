"""What stock OpenMMLab needs on today's torch, numpy and setuptools, applied on import.

Each function fixes one thing, says until which version it is needed, and changes nothing if the
stack works without it. OpenMMLab, torch and numpy are imported inside the functions, after
:mod:`.stack` has checked their versions.
"""

import _codecs
import functools
import importlib.util
import os
import pickle
import re
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from .configs import config_path
from .errors import RefusedCheckpointError
from .files import require_checkpoint
from .stack import FULL_MMCV, check_versions, declared_versions, installed_versions

# What was fixed here, and why; `python -m mmseg_pacbal.doctor` lists it.
fixed: dict[str, str] = {}


def provide_compiled_ops() -> None:
    """Make `mmcv.ops`, and with it `mmseg.models`, importable if mmcv has no compiled ops.

    A `mmcv._ext` that exists but fails to load (built for another torch, say) keeps its own error.
    The stand-in has a spec without a loader: imports find it, but mmcv and mmengine look for the
    loader to learn whether there are compiled ops, and rightly still find none.
    Needed with mmcv-lite while mmseg imports `mmcv.ops` unconditionally (1.2.2; the fork does not).
    """
    if importlib.util.find_spec('mmcv._ext') is None:
        sys.modules['mmcv._ext'] = stand_in = _MissingOps('mmcv._ext')
        stand_in.__spec__ = ModuleSpec('mmcv._ext', loader=None)
        fixed['mmcv.ops'] = 'mmseg imports compiled ops, and this mmcv has none'


class _MissingOps(ModuleType):
    """Has every op; calling one raises RuntimeError."""

    def __getattr__(self, name: str) -> Callable[..., str]:
        if name.startswith('__'):
            raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}')
        if name in ('get_compiler_version', 'get_compiling_cuda_version'):
            return lambda: 'n/a'  # no ops; mmcv itself says this if it has none

        def op(*args: Any, **kwargs: Any) -> str:
            raise RuntimeError(
                f'the compiled op {name!r} of mmcv was called, but the installed mmcv has none; '
                f'install full mmcv: pip uninstall -y mmcv-lite mmcv && {FULL_MMCV}'
            )

        return op


def find_bases() -> None:
    """Find ``_base_ = 'mmseg_pacbal::pac_bal_voc.py'``, and bases of other packages by folder.

    Needed while mmengine (0.10.7) knows the packages in its own table only, and looks for them by
    ``pkg_resources``, which setuptools 82 removed, and by the stock names of their distributions.
    It also reads MMSegmentation's 52 metafiles, more work than all else in a config, to end at the
    same path.
    """
    from mmengine.config import config as module

    resolve = module.Config._get_cfg_path

    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        package, _, name = cfg_path.partition('::')
        if package == 'mmseg_pacbal':
            return config_path(name), None
        if not name:
            return resolve(cfg_path, filename)
        path = Path(_package_folder(package), '.mim', 'configs', name)
        if not path.is_file():
            raise FileNotFoundError(f'{cfg_path} does not exist; {path.parent} has what there is')
        return str(path), package

    module.Config._get_cfg_path = staticmethod(get_cfg_path)
    module.get_installed_path = _package_folder  # for `with read_base(): from mmseg.configs...`
    fixed['bases'] = 'mmengine looks for packages by pkg_resources, which setuptools 82 removed'


def _package_folder(name: str) -> str:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f'{name} is not installed; install it, or use another base')
    return str(Path(spec.origin).parent)


def load_checkpoints_safely() -> None:
    """Load mmengine's checkpoints with `weights_only=True`, which needs an allow-list.

    Since torch 2.6 this is the default of `torch.load`, which refuses what mmengine stores beside
    the weights, so that resume and test fail. The allow-list applies to every `torch.load`. The
    loader of local files is replaced by one that says clearly what it refuses; that of URLs gets
    `weights_only=True`, which torch.hub does not set (2.13). Before torch 2.6, mmengine's loaders
    of other remote files, such as s3, run any code that a checkpoint carries.
    Needed while mmengine leaves this to torch (0.10.7), or retries without `weights_only` what was
    refused (onedl-mmengine 0.10.12).
    """
    from mmengine.runner import CheckpointLoader, checkpoint
    from torch import serialization

    known = serialization.get_safe_globals()
    serialization.add_safe_globals([g for g in _checkpoint_globals() if g not in known])
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    if not hasattr(checkpoint.load_url, 'is_safe'):
        checkpoint.load_url = functools.partial(_load_url, checkpoint.load_url)
        checkpoint.load_url.is_safe = True
    fixed['checkpoints'] = 'torch refuses what mmengine stores beside the weights'


def _load_url(load: Callable, url: str, **options: Any) -> Any:
    try:
        return _without_code(load(url, **{**options, 'weights_only': True}))
    except pickle.UnpicklingError as error:
        raise _explained(url, error) from error


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Load a checkpoint file; named after mmengine's function, since its log shows the name.

    Raises:
        FileNotFoundError: The file does not exist.
        RefusedCheckpointError: the file carries a class or function that no checkpoint of
            mmengine needs (it was not called).
        pickle.UnpicklingError: it is truncated or not a checkpoint.
    """
    import torch

    filename = os.path.expanduser(filename)
    require_checkpoint(filename)
    try:
        return _without_code(torch.load(filename, map_location=map_location, weights_only=True))
    except Exception as error:
        device = 'CUDA' in str(error) or 'data location' in str(error)
        if device and not _refused(error):
            raise
        raise _explained(filename, error) from error


def _without_code(checkpoint: Any) -> Any:
    """A checkpoint without the config under `meta.config`: `Runner.resume` would execute it."""
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop('config', None)
    return checkpoint


def _refused(error: Exception) -> str | None:
    """The class or function in a checkpoint that torch refused to load."""
    match = re.search(r"GLOBAL (\S+)|but got <class '([^']+)'>", str(error))
    return match[1] or match[2] if match and isinstance(error, pickle.UnpicklingError) else None


def _explained(filename: str, error: Exception) -> pickle.UnpicklingError:
    if refused := _refused(error):
        return RefusedCheckpointError(
            f'{filename} was not loaded, as it carries {refused}, which no '
            'checkpoint of mmengine needs and which could run code; use a checkpoint with '
            "weights only, or ask its author to save only its 'state_dict'"
        )
    reason = f'{type(error).__name__} {error}'.partition('\n')[0]
    return pickle.UnpicklingError(
        f'{filename} could not be read as a checkpoint ({reason}); it is truncated or was '
        'not written by torch.save: copy or download it again'
    )


@functools.cache
def _checkpoint_globals() -> Sequence[Callable]:
    """What mmengine's checkpoints refer to besides tensors, written with numpy 1 or 2.

    The dtypes are those of logged numbers and their counts (int32: numpy 1 on Windows). The
    object dtype, whose arrays can hold anything, is not among them.
    """
    import numpy as np
    from mmengine.logging import HistoryBuffer
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

    methods = {
        HistoryBuffer: ('min', 'max', 'current', 'mean'),
        OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear'),
    }

    def get_method(owner: Any, name: Any) -> Callable:
        # Both classes store some of their own functions, which pickle writes as calls of getattr.
        # The real getattr would give access to everything reachable from an allowed class.
        if not isinstance(owner, type) or name not in methods.get(owner, ()):
            raise pickle.UnpicklingError('unsupported GLOBAL builtins.getattr')
        return getattr(owner, name)

    def named(path: str, function: Callable) -> Callable:
        def stand_in(*args: Any) -> Any:
            return function(*args)

        stand_in.__module__, _, stand_in.__name__ = path.rpartition('.')
        stand_in.__qualname__ = stand_in.__name__
        return stand_in

    rebuild: tuple[Any, ...] = (np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0])
    modules = ('numpy.core.multiarray', 'numpy._core.multiarray')  # numpy 1, numpy 2
    return (
        *(HistoryBuffer, OneCycleParamScheduler, named('builtins.getattr', get_method)),
        *(named(f'{module}.{f.__name__}', f) for module in modules for f in rebuild),
        *(type(np.dtype(code)) for code in ('int32', 'int64', 'float32', 'float64')),
        *(np.ndarray, np.dtype, _codecs.encode),  # torch 2.5 allows the last one itself
    )


def load_yaml_safely() -> None:
    """Let a config in YAML hold data alone, as a reader of YAML expects; tuples are data.

    Needed while mmengine reads YAML with `yaml.CLoader`, which calls what a tag names (0.10.7).
    """
    import yaml
    from mmengine.fileio.handlers import yaml_handler

    class Loader(getattr(yaml, 'CSafeLoader', yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.add_constructor(
        'tag:yaml.org,2002:python/tuple',  # written by mmengine's Config.dump
        lambda loader, node: tuple(loader.construct_sequence(node, deep=True)),
    )
    yaml_handler.Loader = Loader
    fixed['YAML'] = 'mmengine calls what a tag in a config names'


def prepare() -> None:
    """Check the stack, before OpenMMLab fails on it with a less clear message."""
    check_versions(installed_versions(), declared_versions())


def apply() -> None:
    """Fix all of the stack; calling this again does no harm."""
    prepare()
    if not installed_versions().get('onedl-mmsegmentation'):
        provide_compiled_ops()
    find_bases()
    load_checkpoints_safely()
    load_yaml_safely()
