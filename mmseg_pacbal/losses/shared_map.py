"""One weight map for all heads that ask for the same one."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..ops import boundary_weight_map


class _Entry(NamedTuple):
    label: Tensor
    settings: dict[str, object]
    weight: Tensor
    version: int  # of the weight's memory: a caller may have written into it


_last: _Entry | None = None


def shared_weight_map(label: Tensor, **settings: object) -> Tensor:
    """:func:`mmseg_pacbal.ops.boundary_weight_map`, not computed again for the same label.

    With deep supervision several heads need the map of the same batch, one after another. On a CPU
    the last map is kept, and returned if label and settings are equal: comparing labels takes much
    less time than computing the map. On other devices a comparison would make the host wait, and
    the map is cheap, so it is computed every time, as it is in a compiled graph. There you can pass
    on a map that was computed once, see :class:`BoundaryAwareLoss`.
    """
    global _last
    if label.device.type != 'cpu' or torch.compiler.is_compiling():
        return boundary_weight_map(label, **settings)  # type: ignore[arg-type]
    last = _last  # another thread may replace it
    if (
        last is not None
        and last.settings == settings
        and last.label.dtype == label.dtype
        and last.version == last.weight._version
        and torch.equal(last.label, label)
    ):
        return last.weight
    weight = boundary_weight_map(label, **settings)  # type: ignore[arg-type]
    # The label is copied, since a data loader may reuse its memory.
    _last = _Entry(label.clone(), settings, weight, weight._version)
    return weight
