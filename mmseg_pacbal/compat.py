"""What stock OpenMMLab needs on today's torch, numpy and setuptools, applied on import.

Each function fixes one thing, says from which version on it is no longer needed, and changes
nothing where the stack is sound. OpenMMLab, torch and numpy are imported inside the functions:
the versions are checked before anything can fail on them.
"""

import _codecs
import functools
import importlib.abc
import importlib.util
import os
import pickle
import pkgutil
import re
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

# mmcv comes as source only, and building it takes pkg_resources and the torch it is built for.
_FULL = 'pip install "setuptools<82" wheel && pip install --no-build-isolation "mmcv==2.1.0"'
_LITE = f'pip install "mmcv-lite==2.1.0" (for the compiled ops, instead: {_FULL})'
_MMSEG = ('mmsegmentation', 'onedl-mmsegmentation')
# module: distributions that provide it, what installs one
_NEEDS = {
    'torch': (('torch',), 'pip install "torch>=2.4"'),
    'mmengine': (
        ('mmengine', 'mmengine-lite', 'onedl-mmengine'),
        'pip install "mmengine==0.10.7"',
    ),
    'mmcv': (('mmcv', 'mmcv-lite', 'mmcv-full', 'onedl-mmcv'), _LITE),
    'mmseg': (_MMSEG, 'pip install "mmsegmentation==1.2.2"'),
    'ftfy': (('ftfy',), 'pip install ftfy regex'),
    'regex': (('regex',), 'pip install ftfy regex'),
}


# What was fixed here, and why; `python -m mmseg_pacbal.doctor` shows it.
fixed: dict[str, str] = {}


class UnsupportedStackError(ImportError):
    """The installed versions do not work together; the message says what to do."""


def installed_versions() -> dict[str, str | None]:
    """Read the version of every distribution that matters, None where it is not installed.

    A module that is importable without any distribution known here (a source tree on the path,
    a renamed build) has no version to judge: its names are left out.
    """

    def version(name: str) -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    versions = {'numpy': version('numpy')}
    for module, (names, _) in _NEEDS.items():
        found = {name: version(name) for name in names}
        # A folder that an uninstall left behind has a spec, but no origin.
        if any(found.values()) or getattr(importlib.util.find_spec(module), 'origin', None) is None:
            versions.update(found)
    return versions


def declared_versions() -> dict[str, str]:
    """Read which versions this project declares: distribution name -> specifiers.

    The metadata of the installed project is the one place where accepted versions stand; it is
    empty for a source tree that was never installed.
    """
    from packaging.requirements import Requirement

    try:
        lines = metadata.requires('mmseg-pacbal') or []
    except metadata.PackageNotFoundError:
        return {}
    found = {r.name: r.specifier for r in map(Requirement, lines)}
    return {name: ','.join(sorted(map(str, s), reverse=True)) for name, s in found.items()}


def check_versions(installed: dict[str, str | None], declared: dict[str, str]) -> None:
    """Refuse a stack that cannot work, before it fails on something less clear.

    pip resolves what is declared, but mmcv cannot be: `mmcv` and `mmcv-lite` are the same module,
    mmsegmentation declares neither, and a later `pip install` may replace what was resolved.

    Args:
        installed: distribution name -> version, None where it is not installed; a name that is
            absent is not judged.
        declared: distribution name -> accepted versions, see :func:`declared_versions`.

    Raises:
        UnsupportedStackError: a distribution is missing, installed twice, or out of range.
    """
    for module, (names, command) in _NEEDS.items():
        present = [name for name in names if installed.get(name)]
        if not present and any(name in installed for name in names):
            wanted = names[0] + declared.get(names[0], '')
            _refuse(f'{names[0]} is not installed', wanted, command)
        # mmengine-lite is mmengine with fewer requirements, and mmcv-lite pulls in mmengine.
        if len(present) > 1 and module != 'mmengine':
            found = ' and '.join(f'{name} {installed[name]}' for name in present)
            command = f'pip uninstall -y {" ".join(present)} && {command}'
            _refuse(f'{found} overwrite each other', f'one of them as {module}', command)
    stock = installed.get('mmsegmentation')
    for module, (names, command) in _NEEDS.items():
        accepted = declared.get(names[0], '')
        for name in (name for name in names if not _within(installed.get(name), accepted)):
            if module == 'mmcv' and stock:
                found = f'{name} {installed[name]} is installed with mmsegmentation {stock}'
                _refuse(found, f'mmcv{accepted} there', f'pip uninstall -y {name} && {command}')
            # The fork has version numbers of its own.
            if module != 'mmcv' and not name.startswith('onedl-'):
                _refuse(f'{name} {installed[name]} is installed', name + accepted, command)


def _refuse(found: str, accepted: str, command: str) -> NoReturn:
    raise UnsupportedStackError(f'{found}, but mmseg-pacbal needs {accepted}; to fix it: {command}')


def _within(version: str | None, accepted: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return version is None or SpecifierSet(accepted).contains(version, prereleases=True)


def provide_pkg_resources() -> None:
    """Stand in for `pkg_resources`, with what mmengine takes from it.

    setuptools 82 dropped it; mmengine needs it to find the package of an `mmseg::` base config.
    Needed while mmengine reads `pkg_resources` (0.10.7 does; onedl-mmengine 0.10.12 does not).
    """
    if importlib.util.find_spec('pkg_resources') is None:
        sys.meta_path.append(_PkgResources())
        fixed['pkg_resources'] = 'mmengine reads it, and setuptools 82 dropped it'


class _PkgResources(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """A finder, since mmengine reloads `pkg_resources`; the last one, so a real one wins."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname == 'pkg_resources' else None

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(
            DistributionNotFound=metadata.PackageNotFoundError,
            get_distribution=_Distribution,
            declare_namespace=_declare_namespace,
            fixup_namespace_packages=lambda path, parent=None: None,  # pytest calls it
        )


class _Distribution:
    """The part of `pkg_resources.Distribution` that mmengine reads."""

    def __init__(self, name: str) -> None:
        distribution = metadata.distribution(name)
        self.version = distribution.version
        self.location = str(distribution.locate_file(''))
        self._read_text = distribution.read_text

    def has_metadata(self, name: str) -> bool:
        return self._read_text(name) is not None

    def get_metadata(self, name: str) -> str:
        return self._read_text(name) or ''


def _declare_namespace(name: str) -> None:
    # Old namespace packages call it, and turn to pkgutil only where there is no pkg_resources.
    sys.modules[name].__path__ = pkgutil.extend_path(sys.modules[name].__path__, name)


def provide_compiled_ops() -> None:
    """Let `mmcv.ops`, and with it `mmseg.models`, import where mmcv has no compiled ops.

    A `mmcv._ext` that is there but fails to load (built for another torch, say) keeps its own
    error. The stand-in has a spec without a loader: an import finds it, but mmcv and mmengine,
    which look for the loader to learn whether there are compiled ops, rightly go on hearing no.
    Needed while mmseg imports `mmcv.ops` unconditionally (1.2.2 does), with mmcv-lite only.
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

        def op(*args: Any, **kwargs: Any) -> str:
            # No op, but what mmcv reports on its build; this is what it says without one.
            if name in ('get_compiler_version', 'get_compiling_cuda_version'):
                return 'n/a'
            raise RuntimeError(
                f'the compiled op {name!r} of mmcv was called, but the installed mmcv has none; '
                f'install full mmcv: pip uninstall -y mmcv-lite mmcv && {_FULL}'
            )

        return op


def name_mmsegmentation() -> None:
    """Let mmengine find `mmseg::` configs in the fork, whose distribution has another name.

    Needed while mmengine's table has but the stock name (onedl-mmengine 0.10.12 does).
    """
    from mmengine.config.utils import MODULE2PACKAGE

    versions = installed_versions()
    present = [name for name in _MMSEG if versions.get(name)]
    if present:
        MODULE2PACKAGE['mmseg'] = present[0]
        if present[0] != _MMSEG[0]:
            fixed['mmseg:: configs'] = f'mmengine does not know the distribution {present[0]}'


def load_checkpoints_safely() -> None:
    """Load mmengine's checkpoints with `weights_only=True`, which takes an allow-list.

    From torch 2.6 on `torch.load` does so by default and refuses what mmengine keeps beside the
    weights, so resume and test fail. The allow-list holds for every `torch.load`, hence for
    checkpoints from a URL too; the loader of local files is replaced, to say clearly what it
    refuses. Before torch 2.6 mmengine's loaders of remote files run whatever code a checkpoint
    carries.
    Needed while mmengine leaves this to torch (0.10.7), or tries again without
    `weights_only` what was refused (onedl-mmengine 0.10.12).
    """
    from mmengine.runner import CheckpointLoader
    from torch import serialization

    known = serialization.get_safe_globals()
    serialization.add_safe_globals([g for g in _checkpoint_globals() if g not in known])
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    fixed['checkpoints'] = 'torch refuses what mmengine keeps beside the weights'


@functools.cache
def _checkpoint_globals() -> Sequence[Callable]:
    """What mmengine's checkpoints name beside tensors, whether numpy 1 or 2 wrote them.

    The dtypes are those of logged numbers and their counts (int32: numpy 1 on Windows). The
    object dtype, whose arrays hold anything, is not among them.
    """
    import numpy as np
    from mmengine.logging import HistoryBuffer
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

    methods = {
        HistoryBuffer: ('min', 'max', 'current', 'mean'),
        OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear'),
    }

    def get_method(owner: Any, name: Any) -> Callable:
        # Both classes keep some of their own functions, which pickle writes as calls of getattr.
        # The real getattr would hand out whatever is within reach of an allowed class.
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
        *(np.ndarray, np.dtype, _codecs.encode),  # the last one torch 2.5 allows by itself
    )


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Load a checkpoint file; named after mmengine's function, since its log shows the name.

    Raises:
        FileNotFoundError: there is no such file.
        pickle.UnpicklingError: the file carries a class or function that no checkpoint of
            mmengine needs (it was not called), or it is truncated or no checkpoint.
    """
    import torch

    filename = os.path.expanduser(filename)
    if not os.path.isfile(filename):
        raise FileNotFoundError(f'{filename} can not be found.')
    try:
        return torch.load(filename, map_location=map_location, weights_only=True)
    except Exception as error:
        refused = re.search(r"GLOBAL (\S+)|but got <class '([^']+)'>", str(error))
        if isinstance(error, pickle.UnpicklingError) and refused:
            raise pickle.UnpicklingError(
                f'{filename} was not loaded, as it carries {refused[1] or refused[2]}, which no '
                'checkpoint of mmengine needs and which could run code; take a checkpoint with '
                "weights only, or, if you trust its author, have its 'state_dict' saved anew"
            ) from None
        if 'CUDA' in str(error) or 'data location' in str(error):  # the device's fault
            raise
        reason = f'{type(error).__name__} {error}'.partition('\n')[0]
        raise pickle.UnpicklingError(
            f'{filename} could not be read as a checkpoint ({reason}); it is truncated or was '
            'not written by torch.save: copy or download it again'
        ) from error


def apply() -> None:
    """Check the stack, then fix it; once is enough, more often does no harm.

    Raises:
        UnsupportedStackError: see :func:`check_versions`.
    """
    check_versions(installed_versions(), declared_versions())
    provide_pkg_resources()
    provide_compiled_ops()
    name_mmsegmentation()
    load_checkpoints_safely()
