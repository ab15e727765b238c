"""Labels outside the classes, found without stopping a GPU."""

import itertools
import weakref
from typing import Any, ClassVar

import torch
from torch import Tensor

NONE = torch.iinfo(torch.int64).min  # below every label
_checks: weakref.WeakValueDictionary[int, 'LabelCheck'] = weakref.WeakValueDictionary()
_keys = itertools.count()


class LabelCheck:
    """Raise an error if a label is neither a class nor void.

    Reading a result makes the host wait for the device. On a CPU that costs nothing, so the
    call that gets the wrong label raises. On other devices the result stays there, and is read
    in the first call and in every :attr:`CALLS_BETWEEN_LOOKS`-th after it: a wrong ``num_classes``
    ends the first step, a wrong mask one of the next steps. Until then wrong pixels count as void,
    so that no assertion on a GPU can end the process.

    Attributes:
        CALLS_BETWEEN_LOOKS: Number of calls from one look to the next, by type of device; 64 for
            those that are not listed.
    """

    CALLS_BETWEEN_LOOKS: ClassVar[dict[str, int]] = {'cpu': 1}

    def __init__(self) -> None:
        self._calls = 0
        self._worst: Tensor | None = None  # largest wrong label since the last look, or NONE
        self._register()

    def _register(self) -> None:
        self._key = next(_keys)
        _checks[self._key] = self

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._register()  # a copy counts for itself

    def __call__(self, label: Tensor, num_classes: int, ignore_index: int) -> Tensor:
        """Check label, (N, H, W) int64, and return it with wrong values replaced by void.

        Raises:
            ValueError: A label of this or an earlier call is not in 0..num_classes-1 and not
                ignore_index.
        """
        if torch.compiler.is_compiling():
            return _check_label(label, num_classes, ignore_index, self._key)
        return self._checked(label, num_classes, ignore_index)

    def _checked(self, label: Tensor, num_classes: int, ignore_index: int) -> Tensor:
        if label.numel() == 0:
            return label
        wrong = ((label < 0) | (label >= num_classes)) & (label != ignore_index)
        worst = torch.where(wrong, label, NONE).amax()
        if self._worst is not None:
            worst = torch.maximum(worst, self._worst.to(worst.device))
        look = self._calls % self.CALLS_BETWEEN_LOOKS.get(label.device.type, 64) == 0
        self._calls += 1
        self._worst = None if look else worst
        if not look:
            return label.masked_fill(wrong, ignore_index)
        value = int(worst)
        if value != NONE:
            raise ValueError(
                f'label holds {value}, but accepted are classes 0..{num_classes - 1} and '
                f'ignore_index={ignore_index}; check num_classes and the masks of the data set'
            )
        return label


@torch.library.custom_op('mmseg_pacbal::check_label', mutates_args=())
def _check_label(label: Tensor, num_classes: int, ignore_index: int, key: int) -> Tensor:
    """An operator for compiled graphs, since counting calls and raising cannot be traced."""
    checked = _checks[key]._checked(label, num_classes, ignore_index)
    return checked.clone() if checked is label else checked


@_check_label.register_fake
def _(label: Tensor, num_classes: int, ignore_index: int, key: int) -> Tensor:
    return torch.empty_like(label)


def as_bytes(label: Tensor, num_classes: int, ignore_index: int) -> Tensor:
    """A checked label as bytes, if its values fit: an eighth of the memory to read."""
    return label.byte() if num_classes <= 256 and 0 <= ignore_index < 256 else label
