"""Every process may choose its own backend: gradients are those of one process."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmseg_pacbal.ops import gpu_trials
from mmseg_pacbal.ops import pyramid_atrous_conv as pac
from tests.distributed.processes import PARTS, run_processes
from tests.ops.test_gpu_trials import PLAIN, Clock

pytestmark = pytest.mark.slow
RATES = (1, 3, 5)


class Pyramid(nn.Module):
    """What ``backend='auto'`` does beyond a CPU."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(4, 8, 3, 3, generator=generator).double())

    def forward(self, x: Tensor) -> Tensor:
        return pac._pyramid(x, self.weight, RATES, False, 'auto', True).square().mean()


def images() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(5, 8, 9, 11, generator=generator, dtype=torch.float64)


def choice_and_gradient(part: slice) -> tuple[list[str], Tensor]:
    """In each process: what its trial chose, and the gradient that DDP has averaged."""
    clock = Clock()
    slow = 'reference' if part.start == 0 else 'factorized'
    forms = {name: clock.slow_down(form, 1 + (name == slow)) for name, form in PLAIN.items()}
    gpu_trials.available_forms = lambda device: forms
    gpu_trials.synchronised_clock = clock
    model = DistributedDataParallel(Pyramid())
    x = images()[part]
    # The mean of the processes' means weighs images by how many a process has.
    loss = model(x) * len(x) * len(PARTS[2]) / len(images())
    loss.backward()
    return list(gpu_trials.choices.values()), model.module.weight.grad


def test_processes_that_choose_differently(tmp_path: Path):
    model = Pyramid()
    (expected,) = torch.autograd.grad(
        pac.convolutions(images(), model.weight, RATES, False).square().mean(), model.weight
    )
    found = run_processes(2, choice_and_gradient, tmp_path)
    assert [choices for choices, _ in found] == [['factorized'], ['reference']]
    for _, gradient in found:
        torch.testing.assert_close(gradient, expected)
