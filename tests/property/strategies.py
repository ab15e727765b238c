"""What the properties are tried on, and how often."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmseg_pacbal.ops.boundary_weight import KERNELS

# The short form belongs to every run, the long one to the slow tests.
EXAMPLES = pytest.mark.parametrize('examples', [100, pytest.param(600, marks=pytest.mark.slow)])

# One of the classes, one of NumPy's and PNG's, the usual one, and two beyond a byte.
IGNORE_INDICES = st.sampled_from([255, 0, 2, 19, -1, 300])


def check(holds: Callable[..., None], examples: int, **strategies: st.SearchStrategy) -> None:
    """Try a property on examples, the same in every run: what is green once stays green."""
    bounded = settings(max_examples=examples, derandomize=True, deadline=None, database=None)
    bounded(given(**strategies)(holds))()


def generators() -> st.SearchStrategy[torch.Generator]:
    return st.integers(0, 2**32 - 1).map(lambda seed: torch.Generator().manual_seed(seed))


@st.composite
def labels(
    draw: st.DrawFn,
    classes: int | None = None,
    ignore_index: st.SearchStrategy[int] = IGNORE_INDICES,
    side: int = 24,
) -> tuple[Tensor, int]:
    """A label map (N, H, W) int64 and its ignore_index.

    Any subset of the classes in blocks of any size, with any share of void, from none to all,
    and perhaps padding; one pixel and one class are examples too.
    """
    void = draw(ignore_index)
    generator = draw(generators())
    size = draw(st.tuples(st.integers(1, 3), st.integers(1, side), st.integers(1, side)))
    below = classes or draw(st.integers(1, 21))
    present = draw(st.lists(st.integers(0, below - 1), min_size=1, max_size=5, unique=True))
    block = draw(st.integers(1, 6))
    label = torch.tensor(present)[torch.randint(len(present), size, generator=generator)]
    share = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    label[torch.rand(size, generator=generator) < share] = void
    label = label.repeat_interleave(block, 1)[:, : size[1]].repeat_interleave(block, 2)
    label = label[:, :, : size[2]].contiguous()
    bottom, right = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    return torch.nn.functional.pad(label, (0, right, 0, bottom), value=void), void


def map_options() -> st.SearchStrategy[dict]:
    """Options of the weight map that differ from the defaults in any way."""
    return st.fixed_dictionaries(
        {},
        optional=dict(
            kernel=st.sampled_from([*KERNELS]),
            kernel_size=st.integers(0, 25).map(lambda half: 2 * half + 1),
            sigma=st.floats(1e-3, 1e3),
            beta=st.floats(0, 100),
            downsample=st.integers(1, 9),
            antialias=st.booleans(),
            void_edges=st.booleans(),
            ignore_padding=st.booleans(),
        ),
    )
