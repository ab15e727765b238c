"""What is kept for the next call is bounded by its bytes, not by its number."""

import gc

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


def test_indices_of_images_of_many_sizes():
    weight, rates = torch.ones(1, 1, 3, 3), (1, 2, 3) * 16
    before = held_bytes()
    for height in range(40, 66):
        pyramid_atrous_conv2d(torch.ones(1, 1, height, 60), weight, rates, backend='factorized')
    assert held_bytes() - before < 2**27


def test_resize_matrices_of_logits_of_many_sizes():
    label = torch.zeros(1, 2000, 4, dtype=torch.long)
    before = held_bytes()
    for height in range(500, 520):
        lean_cross_entropy(torch.zeros(1, 2, height, 4), label)
    assert held_bytes() - before < 2**25
