"""A cache bounded by memory, for what depends on shapes alone."""

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

from torch import Tensor

Tensors = TypeVar('Tensors', bound=Sequence[Tensor])


def cached_tensors(max_bytes: int) -> Callable[[Callable[..., Tensors]], Callable[..., Tensors]]:
    """Keep what a function of hashable arguments returns, as long as all of it fits.

    ``functools.lru_cache`` counts results, whatever their size. Once the results would take more
    than ``max_bytes`` together, all are dropped; a larger one is not kept at all.
    """

    def decorate(function: Callable[..., Tensors]) -> Callable[..., Tensors]:
        kept: dict[tuple, Tensors] = {}

        @functools.wraps(function)
        def cached(*args):
            if (result := kept.get(args)) is not None:
                return result
            result = function(*args)
            size = sum(tensor.nbytes for tensor in result)
            # A list, since another thread may add to the dictionary.
            if size + sum(t.nbytes for tensors in list(kept.values()) for t in tensors) > max_bytes:
                kept.clear()
            if size <= max_bytes:
                kept[args] = result
            return result

        return cached

    return decorate
