"""The Triton kernel against the plain form: on a GPU, or in Triton's interpreter on CPU."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmseg_pacbal.ops import available_backends, factorized, pyramid_atrous_conv2d

INTERPRETED = os.environ.get('TRITON_INTERPRET') == '1'
DEVICE = 'cpu' if INTERPRETED else 'cuda'
# The interpreter cuts float32 down to bfloat16 where a GPU rounds.
MARGIN = 4 if INTERPRETED else 2

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec('triton') is None, reason='Triton is not installed'
)
needs_triton = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(),
    reason='no CUDA device; test_in_the_interpreter runs this with TRITON_INTERPRET=1',
)


@pytest.mark.skipif(INTERPRETED, reason='this is the interpreter')
@pytest.mark.parametrize('chosen', ['not slow', pytest.param('slow', marks=pytest.mark.long)])
def test_in_the_interpreter(chosen):
    """Triton reads the variable when it is imported, so a process of its own sets it."""
    here = Path(__file__)
    result = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-m', chosen, here],
        env={**os.environ, 'TRITON_INTERPRET': '1', 'CUDA_VISIBLE_DEVICES': ''},
        capture_output=True,
        text=True,
        check=False,
        cwd=here.parents[3],
    )
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-1000:]


def random(generator, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(DEVICE, dtype)


def compare(x: Tensor, weight: Tensor, grad: Tensor, rates: tuple[int, ...], concat: bool) -> None:
    """The kernel's error against float64 is at most that of the plain form, with a margin."""
    from mmseg_pacbal.ops.triton import factorized as kernels

    results = []
    double = [tensor.double() for tensor in (x, weight, grad)]
    for module, inputs in (
        (kernels, (x, weight, grad)),
        (factorized, (x, weight, grad)),
        (factorized, double),
    ):
        out = module.forward(*inputs[:2], rates, concat)
        results.append([out, *module.backward(*inputs, rates, concat, [True, True])])
    for actual, plain, exact in zip(*results, strict=True):
        assert actual.stride() == plain.stride()
        error, plain_error = ((t.double() - exact).norm() for t in (actual, plain))
        assert error <= MARGIN * plain_error + 1e-6 * exact.norm()


KINDS = [
    (concat, layout, dtype)
    for concat in (False, True)
    for layout in (torch.contiguous_format, torch.channels_last)
    for dtype in (torch.float32, torch.bfloat16)
]
FAST = (KINDS[0], KINDS[-1])  # each value of each


@needs_triton
@pytest.mark.parametrize(
    ('concat', 'layout', 'dtype'),
    [pytest.param(*k, marks=[] if k in FAST else pytest.mark.slow) for k in KINDS],
    ids=str,
)
@pytest.mark.parametrize('size', [(1, 1), (7, 5)], ids=str)
def test_output_and_gradients(size, concat, layout, dtype, generator):
    rates = (3, 1, 3, 40)  # one twice, one beyond the image
    x = random(generator, (2, 6, *size), dtype).contiguous(memory_format=layout)
    grad = random(generator, (2, 5 * (len(rates) if concat else 1), *size), dtype)
    compare(x, random(generator, (5, 6, 3, 3), dtype), grad, rates, concat)


@needs_triton
@pytest.mark.parametrize(
    'rates', [(1, 9), pytest.param((1, 3, 5, 7, 9), marks=pytest.mark.slow)], ids=str
)
@pytest.mark.parametrize(
    ('layout', 'channels', 'size'),
    [(torch.contiguous_format, 3, (17, 19)), (torch.channels_last, 70, (7, 5))],
    ids=['pixels', 'channels'],
)
def test_several_blocks_and_parts_of_the_batch(layout, channels, size, rates, generator):
    x = random(generator, (5, 3, *size)).contiguous(memory_format=layout)
    weight, grad = (random(generator, s) for s in ((channels, 3, 3, 3), (5, channels, *size)))
    compare(x, weight, grad, rates, False)


@needs_triton
@pytest.mark.parametrize('needs_grad', [(True, False), (False, True)], ids=str)
def test_one_gradient(needs_grad, generator):
    from mmseg_pacbal.ops.triton import factorized as kernels

    x, weight, grad = (
        torch.randn(shape, generator=generator).to(DEVICE)
        for shape in ((2, 6, 7, 5), (4, 6, 3, 3), (2, 4, 7, 5))
    )
    (actual,) = kernels.backward(x, weight, grad, (1, 2), False, needs_grad)
    (expected,) = factorized.backward(x, weight, grad, (1, 2), False, needs_grad)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


@needs_triton
def test_custom_op(generator):
    x = random(generator, (1, 6, 7, 5), torch.float32).requires_grad_()
    weight = random(generator, (4, 6, 3, 3), torch.float32).requires_grad_()
    compiled = torch.compile(
        lambda x, w: pyramid_atrous_conv2d(x, w, (1, 3), backend='triton'),
        fullgraph=True,
        dynamic=True,
        backend='aot_eager',
    )
    expected = pyramid_atrous_conv2d(x, weight, (1, 3), backend='reference')
    actual = compiled(x, weight)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    grads = (torch.autograd.grad(out.square().sum(), (x, weight)) for out in (actual, expected))
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-4)
    with torch.autocast(DEVICE, torch.bfloat16):
        assert compiled(x, weight).dtype == torch.bfloat16
    forward = torch.ops.mmseg_pacbal.atrous_pyramid.default
    torch.library.opcheck(forward, (x.detach(), weight.detach(), [2], False, 'triton', False))


@pytest.mark.skipif(INTERPRETED, reason='the interpreter runs on CPU')
def test_refused_on_cpu():
    assert 'triton' not in available_backends('cpu')
    assert 'triton' in available_backends('cuda')
    with pytest.raises(ValueError, match=r"backend 'triton' cannot run here, on cpu; available"):
        pyramid_atrous_conv2d(
            torch.zeros(1, 2, 5, 5), torch.zeros(3, 2, 3, 3), (1,), backend='triton'
        )
