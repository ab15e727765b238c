"""Means over processes and over the batches of a training."""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

Count = TypeVar('Count', bound=Tensor | float)


def mean_of_processes(
    *counts: Count, training: bool, device: torch.device
) -> Sequence[Tensor | Count]:
    """The means of counts over all processes in training; otherwise the counts themselves.

    As with SyncBN, every process has to take part in training. In evaluation mode and under
    ``torch.no_grad`` nothing is exchanged, so that one process may compute a loss alone.
    """
    several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    if not (several and training and torch.is_grad_enabled()):
        return counts
    means = _on(device, counts)
    dist.all_reduce(means)
    return (means / dist.get_world_size()).unbind()


class RunningSums(nn.Module):
    """Sums over the batches of a training, of which a batch counts 0.999 times the next one.

    Their ratio is a mean over some 1,000 batches, and over all of them at first. It changes in
    training only; a checkpoint holds it, and one without it may be loaded.

    Args:
        number: How many there are.
    """

    sums: Tensor

    def __init__(self, number: int) -> None:
        super().__init__()
        self.register_buffer('sums', torch.zeros(number))

    def forward(self, *counts: Tensor | float) -> Sequence[Tensor]:
        """Count a batch and return the sums; the batch's own, if nothing has been counted."""
        batch = _on(self.sums.device, counts)
        if self.training and torch.is_grad_enabled():
            self.sums.mul_(0.999).add_(batch)
        return torch.where(self.sums.any(), self.sums, batch).unbind()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        state_dict.setdefault(f'{prefix}sums', self.sums)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _on(device: torch.device, counts: Sequence[Tensor | float]) -> Tensor:
    result = torch.empty(len(counts), device=device)
    for index, count in enumerate(counts):  # one by one: a count on a GPU is not waited for
        result[index] = count
    return result
