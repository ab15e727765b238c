"""What is measured: pure functions of label maps, on NumPy; ``BoundaryQuality`` over them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .torchmetrics import BoundaryQuality

__all__ = ['BoundaryQuality']


def __getattr__(name: str) -> Any:
    # torchmetrics takes longer to import than torch, and only this class needs it.
    if name in __all__:
        from . import torchmetrics

        return getattr(torchmetrics, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
