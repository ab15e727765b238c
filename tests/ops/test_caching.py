"""What is kept for the next call is bounded by its bytes, not by its number."""

import gc

import pytest
import torch

from mmseg_pacbal.ops import lean_cross_entropy, pyramid_atrous_conv2d
from mmseg_pacbal.ops.caching import cached_tensors


def held_bytes() -> int:
    """Of all tensors that are alive."""
    gc.collect()
    tensors = [t for t in gc.get_objects() if type(t) is torch.Tensor]
    storages = {s.data_ptr(): s.nbytes() for s in (t.untyped_storage() for t in tensors)}
    return sum(storages.values())


def test_results_are_kept_while_they_fit():
    calls = []

    @cached_tensors(max_bytes=100)
    def zeros(*shape: int) -> tuple[torch.Tensor, ...]:
        calls.append(shape)
        return torch.zeros(shape, dtype=torch.uint8), torch.zeros(10, dtype=torch.uint8)

    assert zeros(30) is zeros(30)
    assert zeros(50) is zeros(50)
    zeros(30)
    assert calls == [(30,), (50,)]  # 40 and 60 bytes
    zeros(1)  # too much: the others are dropped
    zeros(30)
    assert calls[2:] == [(1,), (30,)]
    assert zeros(1) is zeros(1)
    assert zeros(91) is not zeros(91)  # is never kept
    assert zeros(90) is zeros(90)


def indices(height: int) -> None:
    weight, rates = torch.ones(1, 1, 3, 3), (1, 2, 3) * 16
    pyramid_atrous_conv2d(torch.ones(1, 1, height, 60), weight, rates, backend='factorized')


def resize_matrices(height: int) -> None:
    label = torch.zeros(1, 2000, 4, dtype=torch.long)
    lean_cross_entropy(torch.zeros(1, 2, 460 + height, 4), label)


@pytest.mark.parametrize(('compute', 'most'), [(indices, 2**27), (resize_matrices, 2**25)])
def test_images_of_many_sizes(compute, most):
    before = held_bytes()
    for height in range(40, 66):
        compute(height)
    assert held_bytes() - before < most
