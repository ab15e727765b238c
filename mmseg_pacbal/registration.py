"""Registration with MMSegmentation: with the first import of OpenMMLab, which takes seconds.

Whoever builds a model from a config imports mmengine, mmcv or mmseg. So what configs name is there
by then, in whichever order the packages are imported, and ``--help`` of a tool does not wait.
"""

import functools
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from . import compat

OPENMMLAB = ('mmengine', 'mmcv', 'mmseg')


def register() -> None:
    """Fix what OpenMMLab needs, and import what configs name, which registers it."""
    compat.apply()
    from . import openmmlab  # noqa: F401

    format_once()


def register_with_openmmlab() -> None:
    """Register now if OpenMMLab is imported, as by ``custom_imports``, else as soon as it is."""
    compat.prepare()
    if any(name in sys.modules for name in OPENMMLAB):
        register()
    else:
        sys.meta_path.insert(0, _FirstImport())


def format_once() -> None:
    """Keep the last configs that mmengine has formatted, which it does with yapf.

    It formats one config seven times in a training of two iterations, half of the time that passes
    after imports, and again for every checkpoint.
    """
    from mmengine.config import config as module

    format_code = getattr(module, 'FormatCode', None)
    if format_code is None:  # the maintained fork imports it anew for each call
        return

    @functools.lru_cache(maxsize=4)
    def kept(text: str, style: tuple, **options: bool) -> tuple[str, bool]:
        return format_code(text, style_config=dict(style), **options)

    module.FormatCode = lambda text, style_config, **options: kept(
        text, tuple(style_config.items()), **options
    )


class _FirstImport(MetaPathFinder):
    """Finds packages of OpenMMLab as the other finders do; the first to be run registers."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in OPENMMLAB:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(0, self)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            registers = self in sys.meta_path  # the first one also imports the others
            if registers:
                sys.meta_path.remove(self)
            execute(module)
            if registers:
                register()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
