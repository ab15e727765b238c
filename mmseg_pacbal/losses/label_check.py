"""Labels outside the classes, found without stopping a GPU."""

from typing import ClassVar

import torch
from torch import Tensor

NONE = torch.iinfo(torch.int64).min  # below every label


class LabelCheck:
    """Raise an error if a label is neither a class nor void, without stopping a GPU.

    Reading a result makes the host wait for the device, so on a GPU only the first call and every
    64th after it do. Until then wrong pixels count as void, so that no assertion on a GPU ends the
    process. A compiled graph cannot count calls: it asserts.
    """

    CALLS_BETWEEN_LOOKS: ClassVar[dict[str, int]] = {'cpu': 1}  # by type of device; else 64

    def __init__(self) -> None:
        self._calls = 0
        self._worst: Tensor | None = None  # largest wrong label since the last look, or NONE

    def __call__(self, label: Tensor, num_classes: int, ignore_index: int) -> Tensor:
        """Label, (N, H, W) int64, with void in place of wrong values; an error if it is a look."""
        wrong = ((label < 0) | (label >= num_classes)) & (label != ignore_index)
        advice = 'check num_classes and the masks of the data set'
        if torch.compiler.is_compiling():
            torch._assert_async(~wrong.any(), f'label is neither a class nor void; {advice}')
            return label.masked_fill(wrong, ignore_index)
        if label.numel() == 0:
            return label
        worst = torch.where(wrong, label, NONE).amax()
        if self._worst is not None:
            worst = torch.maximum(worst, self._worst.to(worst.device))
        look = self._calls % self.CALLS_BETWEEN_LOOKS.get(label.device.type, 64) == 0
        self._calls += 1
        self._worst = None if look else worst
        if not look:
            return label.masked_fill(wrong, ignore_index)
        if (value := int(worst)) != NONE:
            if value == 255 != ignore_index:
                advice += (
                    f'; if it is padding, set model.data_preprocessor.seg_pad_val={ignore_index}'
                )
            elif value < 0:
                advice += f'; if {value} is void, give ignore_index={value}'
            raise ValueError(
                f'label holds {value}, but accepted are classes 0..{num_classes - 1} and '
                f'ignore_index={ignore_index}; {advice}'
            )
        return label


def as_bytes(label: Tensor, num_classes: int, ignore_index: int) -> Tensor:
    """A checked label as bytes, if its values fit: an eighth of the memory to read."""
    return label.byte() if num_classes <= 256 and 0 <= ignore_index < 256 else label
