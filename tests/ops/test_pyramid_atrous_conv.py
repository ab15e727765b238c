"""One filter at many rates: every backend against the convolutions written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pacbal.ops import available_backends, pyramid_atrous_conv2d
from mmseg_pacbal.ops import pyramid_atrous_conv as pac
from mmseg_pacbal.ops.pyramid_atrous_conv import check_pyramid_args
from mmseg_pacbal.ops.reference import pyramid_atrous_conv2d_reference

PAPER_RATES = (1, 3, 5, 7, 9)
ANY_DEVICE = ('auto', 'reference', 'factorized')
BACKENDS = pytest.mark.parametrize('backend', ANY_DEVICE)
EXACT = dict(rtol=1e-10, atol=1e-10)  # in float64


def random_input(
    generator: torch.Generator,
    size: tuple[int, int] = (7, 5),
    kernel: tuple[int, int] = (3, 3),
    channels: tuple[int, int] = (6, 4),
    batch: int = 2,
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor]:
    """x (N, C_in, H, W) and weight (C_out, C_in, kh, kw), scaled for outputs around 1."""
    c_in, c_out = channels
    fan_in = c_in * kernel[0] * kernel[1]
    x = torch.randn(batch, c_in, *size, generator=generator, dtype=torch.float64)
    weight = torch.randn(c_out, c_in, *kernel, generator=generator, dtype=torch.float64)
    return x.to(dtype), (weight / fan_in**0.5).to(dtype)


def paper_pyramid(x: Tensor, weight: Tensor) -> Tensor:
    """Figure 6 with the rates of the best row of Table 2."""
    return pyramid_atrous_conv2d_reference(x, weight, PAPER_RATES)


def pyramid(rates=PAPER_RATES, **options):
    """The operator with everything set but its tensors."""
    return lambda x, weight: pyramid_atrous_conv2d(x, weight, rates, **options)


def forward_and_gradients(
    function, x: Tensor, weight: Tensor, grad_dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """Output, gradient of x, gradient of weight, for one fixed gradient of the output."""
    x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
    before = x.detach().clone(), weight.detach().clone()
    out = function(x, weight)
    generator = torch.Generator().manual_seed(1)
    grad = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    grad = grad.to(grad_dtype).to(out.dtype)
    results = [out.detach(), *torch.autograd.grad(out, (x, weight), grad)]
    assert all(map(torch.equal, (x, weight), before))  # inputs are left alone
    return results


def assert_same(actual: list[Tensor], expected: list[Tensor], **tolerance) -> None:
    for name, first, second in zip(('out', 'grad_x', 'grad_weight'), actual, expected, strict=True):
        torch.testing.assert_close(first, second, msg=lambda m, n=name: f'{n}: {m}', **tolerance)


# Smoke


def test_backends_of_this_machine():
    assert available_backends()[:3] == ANY_DEVICE


@BACKENDS
def test_impulse_by_hand(backend):
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    weight = torch.tensor([[[[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]]])
    # An impulse shows the filter turned by 180 degrees, once at every rate.
    expected = [
        [9.0, 0, 8, 0, 7],
        [0, 9, 8, 7, 0],
        [6, 6, 10, 4, 4],
        [0, 3, 2, 1, 0],
        [3, 0, 2, 0, 1],
    ]
    out = pyramid_atrous_conv2d(x, weight, (1, 2), backend=backend)
    assert out[0, 0].tolist() == expected


# Exceptions; what rates, merge and backend accept is in tests/test_bad_settings.py

BAD_SHAPES = {
    ((2, 5, 5), (3, 2, 3, 3)): ('x must be', '(N, C_in, H, W)', '(2, 5, 5)'),
    ((1, 2, 0, 5), (3, 2, 3, 3)): ('x must be', 'N alone may be 0', '(1, 2, 0, 5)'),
    ((1, 1, 2, 5, 5), (3, 2, 3, 3)): ('x must be', '(N, C_in, H, W)', '(1, 1, 2, 5, 5)'),
    ((1, 2, 5, 5), (3, 2, 3)): ('weight must be', '(C_out, C_in, kh, kw)', '(3, 2, 3)'),
    ((1, 2, 5, 5), (3, 2, 2, 3)): ('weight must be', 'kh and kw odd', '(3, 2, 2, 3)'),
    ((1, 2, 5, 5), (3, 2, 3, 4)): ('weight must be', 'kh and kw odd', '(3, 2, 3, 4)'),
    ((1, 4, 5, 5), (3, 2, 3, 3)): ('x has 4 channels', 'weight takes 2'),
}


@pytest.mark.parametrize(('shapes', 'expected'), BAD_SHAPES.items(), ids=str)
def test_error_names_shapes(shapes, expected):
    with pytest.raises(ValueError, match=r'x|weight') as error:
        pyramid_atrous_conv2d(*map(torch.zeros, shapes), (1, 2))
    for part in expected:
        assert part in str(error.value)


def test_error_names_the_backends_of_the_device():
    x, weight = torch.zeros(1, 2, 5, 5), torch.zeros(3, 2, 3, 3)
    message = r"^backend 'cudnn' cannot run here, on cpu; available are \('auto', 'reference', 'fac"
    for check in (
        lambda: pyramid_atrous_conv2d(x, weight, (1,), backend='cudnn'),
        lambda: check_pyramid_args((1,), 'sum', 'cudnn', device='cpu'),
    ):
        with pytest.raises(ValueError, match=message):
            check()


def test_error_names_dtypes():
    weight = torch.zeros(3, 2, 3, 3)
    with pytest.raises(ValueError, match=r'x must be floating.*torch\.int64'):
        pyramid_atrous_conv2d(torch.zeros(1, 2, 5, 5, dtype=torch.long), weight, (1,))
    with pytest.raises(TypeError, match=r'x and weight .* torch\.float64 and torch\.float32'):
        pyramid_atrous_conv2d(torch.zeros(1, 2, 5, 5).double(), weight, (1,))


# Shapes


@BACKENDS
@pytest.mark.parametrize('merge', ['sum', 'concat'])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_output_follows_the_memory_format_of_the_input(backend, merge, layout, generator):
    x, weight = random_input(generator)
    x = x.contiguous(memory_format=layout)
    for grad in (False, True):
        out = pyramid_atrous_conv2d(
            x.requires_grad_(grad), weight, (1, 2), merge=merge, backend=backend
        )
        assert out.is_contiguous(memory_format=layout)


# Values


@pytest.mark.parametrize('size', [(1, 9), (7, 5)], ids=str)  # the property tests try all others
@pytest.mark.parametrize('rates', [(4,), PAPER_RATES, [3, 1, 3], range(1, 41, 39)], ids=str)
@pytest.mark.parametrize('merge', ['sum', 'concat'])
@BACKENDS
def test_backends_equal_the_definition(backend, merge, rates, size, generator):
    x, weight = random_input(generator, size)

    def definition(x, w):
        if merge == 'sum':
            return pyramid_atrous_conv2d_reference(x, w, rates)
        return torch.cat([pyramid_atrous_conv2d_reference(x, w, (r,)) for r in rates], dim=1)

    actual = forward_and_gradients(pyramid(rates, merge=merge, backend=backend), x, weight)
    assert_same(actual, forward_and_gradients(definition, x, weight), **EXACT)


def test_expanded_input_and_gradient(generator):
    x, weight = random_input(generator)
    weight.requires_grad_()
    x = x[:1, :1, :1].expand(2, 6, 7, 5)  # stride 0 along three axes
    grads = []
    for function in (paper_pyramid, pyramid(backend='factorized')):
        out = function(x, weight)
        grads.append(torch.autograd.grad(out.sum(), weight)[0])  # an expanded gradient as well
    torch.testing.assert_close(grads[0], grads[1], **EXACT)


@pytest.mark.parametrize(
    ('rates', 'expected'),
    [((1, 3, 5), 'forward'), ((1, 2), 'convolutions'), ((2,), 'convolutions')],
)
def test_auto_takes_the_fast_form_where_rates_share_products(
    rates, expected, generator, monkeypatch
):
    ran = []
    for module, name in ((pac.factorized, 'forward'), (pac, 'convolutions')):
        monkeypatch.setattr(
            module, name, lambda x, *_, name=name: ran.append(name) or x[:, :1].clone()
        )
    pyramid_atrous_conv2d(*random_input(generator, channels=(64, 1)), rates)
    assert ran == [expected]


# Gradients


@BACKENDS
@pytest.mark.parametrize('wanted', [0, 1], ids=['x', 'weight'])
def test_one_gradient_only(backend, wanted, generator):
    inputs = random_input(generator)
    _, *expected = forward_and_gradients(paper_pyramid, *inputs)
    inputs[wanted].requires_grad_()
    out = pyramid_atrous_conv2d(*inputs, PAPER_RATES, backend=backend)
    generator = torch.Generator().manual_seed(1)
    out.backward(torch.randn(out.shape, generator=generator, dtype=torch.float64))
    torch.testing.assert_close(inputs[wanted].grad, expected[wanted], **EXACT)
    assert inputs[1 - wanted].grad is None


@BACKENDS
def test_no_gradient_is_recorded_without_need(backend, generator):
    x, weight = random_input(generator)
    assert not pyramid_atrous_conv2d(x, weight, (1, 2), backend=backend).requires_grad
    with torch.no_grad():
        out = pyramid_atrous_conv2d(x, weight.requires_grad_(), (1, 2), backend=backend)
    assert not out.requires_grad
    with torch.inference_mode():
        inferred = pyramid_atrous_conv2d(x, weight, (1, 2), backend=backend)
    assert torch.equal(inferred, out)


def test_second_derivative_is_refused(generator):
    x, weight = random_input(generator)
    out = pyramid_atrous_conv2d(x.requires_grad_(), weight, (1, 2), backend='factorized')
    (grad,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        grad.sum().backward()


# Precision


def squared_errors(backend: str, dtype: torch.dtype, rates, merge: str, seed: int) -> Tensor:
    """Mean squared error of output and both gradients against float64 on the same values."""
    generator = torch.Generator().manual_seed(seed)
    x, weight = random_input(generator, (17, 19), channels=(64, 32), dtype=dtype)

    function, exact = (pyramid(rates, merge=merge, backend=b) for b in (backend, 'reference'))
    actual = forward_and_gradients(function, x, weight, grad_dtype=dtype)
    assert all(tensor.dtype == dtype for tensor in actual)
    expected = forward_and_gradients(exact, x.double(), weight.double(), grad_dtype=dtype)
    return torch.stack(
        [(a.double() - e).square().mean() for a, e in zip(actual, expected, strict=True)]
    )


@pytest.mark.parametrize(
    ('rates', 'merge'),
    [(PAPER_RATES, 'sum'), (PAPER_RATES, 'concat'), ((6, 12, 18), 'sum'), ((2,), 'sum')],
    ids=str,
)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_error_is_at_most_twice_that_of_convolutions(dtype, rates, merge):
    factorized, reference = (
        sum(squared_errors(backend, dtype, rates, merge, seed) for seed in range(3))
        .div(3)
        .sqrt()
        .tolist()
        for backend in ('factorized', 'reference')
    )
    for name, fast, plain in zip(
        ('out', 'grad_x', 'grad_weight'), factorized, reference, strict=True
    ):
        assert 0 < fast <= 2 * plain, f'{name}: {fast:.2e}, reference {plain:.2e}'


# Autocast


@BACKENDS
@pytest.mark.parametrize('merge', ['sum', 'concat'])
def test_autocast_computes_in_half_and_keeps_dtypes_of_gradients(backend, merge, generator):
    x, weight = random_input(generator, dtype=torch.float32)
    function = pyramid(merge=merge, backend=backend)

    def under_autocast(x, w):
        with torch.autocast('cpu', torch.bfloat16):
            return function(x, w)

    actual = forward_and_gradients(under_autocast, x, weight)
    assert [tensor.dtype for tensor in actual] == [torch.bfloat16, torch.float32, torch.float32]
    expected = forward_and_gradients(function, x.bfloat16(), weight.bfloat16())
    assert_same(actual, expected, rtol=0, atol=0, check_dtype=False)


@BACKENDS
@pytest.mark.parametrize('x_dtype', [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_autocast_dtype_is_that_of_conv2d(backend, x_dtype, generator):
    # Autocast leaves float64 alone.
    x, weight = random_input(generator)
    x, weight = x.to(x_dtype), weight.to(torch.promote_types(x_dtype, torch.float32))
    with torch.autocast('cpu', torch.bfloat16):
        expected = F.conv2d(x, weight, padding=1).dtype
        assert pyramid_atrous_conv2d(x, weight, (1, 2), backend=backend).dtype == expected


@BACKENDS
def test_backward_inside_autocast_keeps_the_precision_of_forward(backend, generator):
    x, weight = random_input(generator, dtype=torch.float32)
    out = pyramid_atrous_conv2d(
        x.requires_grad_(), weight.requires_grad_(), PAPER_RATES, backend=backend
    )
    expected = torch.autograd.grad(out.square().sum(), (x, weight), retain_graph=True)
    with torch.autocast('cpu', torch.bfloat16):
        actual = torch.autograd.grad(out.square().sum(), (x, weight))
    for first, second in zip(actual, expected, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)


# Compile


@pytest.mark.parametrize('backend', ['auto', 'reference'])
def test_compiled_in_one_graph_equals_eager(backend, generator):
    torch.compiler.reset()
    x, weight = random_input(generator, dtype=torch.float32)
    function = pyramid(backend=backend)
    compiled = torch.compile(function, fullgraph=True, backend='aot_eager')
    expected = forward_and_gradients(function, x, weight)
    assert_same(forward_and_gradients(compiled, x, weight), expected, rtol=1e-6, atol=1e-6)
