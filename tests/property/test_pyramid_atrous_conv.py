"""Every backend of a CPU against the sum of convolutions, forward and backward, on anything."""

import torch
from hypothesis import strategies as st
from torch import Tensor

from mmseg_pacbal.ops import pyramid_atrous_conv2d
from mmseg_pacbal.ops.reference import pyramid_atrous_conv2d_reference
from tests.property.strategies import EXAMPLES, check, generators

LAYOUTS = {
    'contiguous': lambda t: t.contiguous(),
    'channels last': lambda t: t.contiguous(memory_format=torch.channels_last),
    'transposed': lambda t: t.mT.contiguous().mT,
    'sliced': lambda t: t.repeat_interleave(2, dim=1)[:, ::2],
    'reversed': lambda t: t.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0),
}
SIZES = st.fixed_dictionaries(
    dict(
        n=st.integers(0, 3),
        c_in=st.integers(1, 6),
        c_out=st.integers(1, 5),
        height=st.integers(1, 14),
        width=st.integers(1, 14),
        kernel=st.tuples(*[st.sampled_from([1, 3, 5])] * 2),
    )
)
OPTIONS = st.fixed_dictionaries(
    dict(
        rates=st.lists(st.integers(1, 30), min_size=1, max_size=5),  # equal ones as well
        merge=st.sampled_from(['sum', 'concat']),
    )
)


def definition(x: Tensor, weight: Tensor, rates: list[int], merge: str) -> Tensor:
    if merge == 'sum':
        return pyramid_atrous_conv2d_reference(x, weight, rates)
    return torch.cat([pyramid_atrous_conv2d_reference(x, weight, (r,)) for r in rates], dim=1)


@EXAMPLES
def test_backends_equal_the_convolutions(examples):
    def holds(generator, size, options, layouts, backend):
        def random(*shape):
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        x = LAYOUTS[layouts[0]](random(size['n'], size['c_in'], size['height'], size['width']))
        weight = LAYOUTS[layouts[1]](random(size['c_out'], size['c_in'], *size['kernel']))
        inputs = x.requires_grad_(), weight.requires_grad_()
        expected = definition(*inputs, **options)
        actual = pyramid_atrous_conv2d(*inputs, **options, backend=backend)
        grad = random(*expected.shape)
        for a, e in zip(
            (actual, *torch.autograd.grad(actual, inputs, grad)),
            (expected, *torch.autograd.grad(expected, inputs, grad)),
            strict=True,
        ):
            torch.testing.assert_close(a, e, rtol=1e-10, atol=1e-10)

    check(
        holds,
        examples,
        generator=generators(),
        size=SIZES,
        options=OPTIONS,
        layouts=st.tuples(*[st.sampled_from(list(LAYOUTS))] * 2),
        backend=st.sampled_from(['auto', 'reference', 'factorized']),
    )
