"""Labels outside the classes, found without stopping a GPU."""

from collections import deque

import torch
from torch import Tensor


class LabelCheck:
    """Raise where a label is neither a class nor void.

    On CPU the call that brings the label raises. On CUDA that would make the host wait for the
    device in every step, so the verdict is copied to the host in the background and raised by
    the first later call that finds it there; meanwhile such pixels count as void, which keeps
    the device free of asserts that would end the process.
    """

    def __init__(self) -> None:
        self._pending: deque[tuple[torch.cuda.Event, Tensor, int]] = deque()

    def __getstate__(self) -> dict:
        # Copies of a model start without verdicts: events can be neither copied nor pickled.
        return dict(_pending=deque())

    def __call__(self, label: Tensor, num_classes: int, ignore_index: int) -> Tensor:
        """Check label, (N, H, W) int64; the same label, with void in place of what is wrong.

        Raises:
            ValueError: A label is not in 0..num_classes-1 and not ignore_index.
        """
        self._raise_pending(ignore_index)
        wrong = ((label < 0) | (label >= num_classes)) & (label != ignore_index)
        if not label.is_cuda:
            if wrong.any():
                raise ValueError(_message(int(label[wrong][0]), num_classes, ignore_index))
            return label
        # Any wrong value will do for the message; the offset tells 0 apart from "none".
        found = torch.where(wrong, label, torch.iinfo(label.dtype).min).amax()
        on_host = torch.empty((), dtype=found.dtype, pin_memory=True)
        on_host.copy_(found, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._pending.append((event, on_host, num_classes))
        return label.masked_fill(wrong, ignore_index)

    def _raise_pending(self, ignore_index: int) -> None:
        while self._pending and self._pending[0][0].query():
            _, on_host, num_classes = self._pending.popleft()
            if on_host.item() != torch.iinfo(on_host.dtype).min:
                raise ValueError(_message(int(on_host), num_classes, ignore_index))


def as_bytes(label: Tensor, num_classes: int, ignore_index: int) -> Tensor:
    """A checked label in a byte for each pixel where it fits: an eighth of the memory to read."""
    return label.byte() if num_classes <= 256 and 0 <= ignore_index < 256 else label


def _message(value: int, num_classes: int, ignore_index: int) -> str:
    return (
        f'label holds {value}, but accepted are classes 0..{num_classes - 1} and '
        f'ignore_index={ignore_index}; check num_classes and the masks of the data set'
    )
