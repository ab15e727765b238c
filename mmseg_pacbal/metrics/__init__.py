"""Metrics as pure functions of label maps, on NumPy, and ``BoundaryQuality``, which uses them."""

from typing import TYPE_CHECKING

__all__ = ['BoundaryQuality']

if TYPE_CHECKING:
    from .torchmetrics import BoundaryQuality
else:

    def __getattr__(name: str) -> object:
        # torchmetrics takes about as long to import as torch, and only this class needs it.
        if name in __all__:
            from . import torchmetrics

            return getattr(torchmetrics, name)
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
