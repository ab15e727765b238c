"""The module: the op, then bias or norm, then activation, each once."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg_pacbal import PyramidAtrousConv

RATES = (1, 3, 5)
BACKENDS = ('auto', 'reference', 'factorized')  # those of any device
EXACT = dict(rtol=1e-10, atol=1e-10)  # in float64


def convolutions(module: PyramidAtrousConv, x: Tensor) -> list[Tensor]:
    return [F.conv2d(x, module.weight, padding=r, dilation=r) for r in RATES]


def with_random_norm(module: PyramidAtrousConv) -> PyramidAtrousConv:
    """In float64 and evaluation mode, with statistics that are not 0 and 1."""
    for tensor in (module.norm.weight, module.norm.bias, module.norm.running_mean):
        torch.nn.init.normal_(tensor)
    torch.nn.init.uniform_(module.norm.running_var, 0.5, 2.0)
    return module.double().eval()


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('merge', ['sum', 'concat'])
@pytest.mark.parametrize('normed', [True, False], ids=['norm, activation', 'bias'])
def test_values_by_hand(normed, merge, backend, generator):
    options = dict(norm=nn.BatchNorm2d) if normed else dict(activation=None)
    module = PyramidAtrousConv(4, 6, RATES, merge=merge, backend=backend, **options).double()
    if normed:
        with_random_norm(module)
    else:
        nn.init.normal_(module.bias)
    x = torch.randn(2, 4, 9, 11, generator=generator, dtype=torch.float64)
    expected = convolutions(module, x)
    if merge == 'concat':
        expected = F.conv2d(torch.cat(expected, dim=1), module.squeeze.weight)
    else:
        expected = sum(expected)
    if normed:
        n = module.norm
        expected = F.batch_norm(expected, n.running_mean, n.running_var, n.weight, n.bias)
    else:
        expected = expected + module.bias[:, None, None]
    torch.testing.assert_close(module(x), expected.relu() if normed else expected, **EXACT)
    assert 0.1 < (expected < 0).double().mean() < 0.9  # so the activation has a say


@pytest.mark.parametrize('affine', [False, True])
@pytest.mark.parametrize('merge', ['sum', 'concat'])
def test_fused_norm_changes_nothing(merge, affine, generator):
    module = PyramidAtrousConv(
        4, 6, RATES, merge=merge, norm=lambda c: nn.BatchNorm2d(c, affine=affine)
    ).double()
    x = torch.randn(2, 4, 9, 11, generator=generator, dtype=torch.float64)
    module(x)  # statistics
    expected = module.eval()(x)
    module.fuse_norm()
    assert module.norm is None
    torch.testing.assert_close(module(x), expected, **EXACT)
    activated = nn.BatchNorm2d(6)
    activated.act = nn.ReLU()  # as timm's norms have, which apply it themselves
    for norm in (nn.BatchNorm2d(6, track_running_stats=False), nn.GroupNorm(2, 6), activated):
        other = PyramidAtrousConv(4, 6, norm=norm)
        other.fuse_norm()
        assert other.norm is norm


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], ids=str)
def test_dtype_under_autocast_is_that_of_a_convolution_with_bias(dtype):
    x, plain = torch.randn(1, 4, 9, 11, dtype=dtype), nn.Conv2d(4, 6, 3).to(dtype)
    without, fused = PyramidAtrousConv(4, 6), PyramidAtrousConv(4, 6, norm=nn.BatchNorm2d).eval()
    fused.fuse_norm()
    for module in (without.to(dtype), fused.to(dtype)):
        nn.init.normal_(module.bias)
        with torch.autocast('cpu', torch.bfloat16):
            out = module(x)
            assert out.dtype == plain(x).dtype
        torch.testing.assert_close(out, module(x), check_dtype=False, rtol=0.1, atol=0.1)


@pytest.mark.parametrize(
    ('norm', 'activation'),
    [(None, lambda: nn.LeakyReLU(0.3)), (nn.GroupNorm(2, 6), nn.SiLU()), (None, None)],
    ids=['made', 'modules as they are', 'none'],
)
def test_other_norms_and_activations(norm, activation, generator):
    module = PyramidAtrousConv(4, 6, RATES, norm=norm, activation=activation)
    x = torch.randn(2, 4, 9, 11, generator=generator)
    expected = sum(convolutions(module, x))
    if norm is not None:
        assert (module.norm, module.activate) == (norm, activation)
        nn.init.normal_(norm.weight)
        expected = F.silu(F.group_norm(expected, 2, norm.weight, norm.bias))
    elif activation is not None:
        expected = F.leaky_relu(expected, 0.3)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-4)


def test_initialisation_is_that_of_he_by_fan_out():
    torch.manual_seed(0)
    module = PyramidAtrousConv(64, 128, RATES, merge='concat')
    for weight, fan_out in ((module.weight, 128 * 9), (module.squeeze.weight, 128)):
        assert weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.02)
        assert abs(weight.mean().item()) < 0.001


def test_keys_of_the_state():
    def keys(**options):
        return set(PyramidAtrousConv(4, 6, RATES, **options).state_dict())

    norm = {
        f'norm.{name}'
        for name in ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')
    }
    assert keys() == {'weight', 'bias'}
    assert torch.equal(PyramidAtrousConv(4, 6).bias, torch.zeros(6))
    assert keys(merge='concat') == {'weight', 'bias', 'squeeze.weight'}
    assert keys(norm=nn.BatchNorm2d) == {'weight'} | norm
    assert keys(norm=nn.BatchNorm2d, merge='concat') == {'weight', 'squeeze.weight'} | norm


def test_filter_of_a_sum_loads_into_a_concatenation():
    summed, stacked = PyramidAtrousConv(4, 6, RATES), PyramidAtrousConv(4, 6, RATES, merge='concat')
    result = stacked.load_state_dict(summed.state_dict(), strict=False)
    assert result.missing_keys == ['squeeze.weight']
    assert result.unexpected_keys == []
    assert torch.equal(stacked.weight, summed.weight)


def test_every_parameter_gets_a_gradient(generator):
    x = torch.randn(2, 4, 9, 11, generator=generator)
    for merge in ('sum', 'concat'):
        for norm in (None, nn.BatchNorm2d):
            module = PyramidAtrousConv(4, 6, RATES, merge=merge, norm=norm)
            module(x).square().sum().backward()
            for name, parameter in module.named_parameters():
                assert parameter.grad.abs().max() > 0, (merge, norm, name)


@pytest.mark.parametrize(
    ('argument', 'value', 'sentence'),
    [
        ('activation', torch.relu, r'called with \(\) raises TypeError: relu\(\) missing'),
        ('activation', lambda: 'relu', r"called with \(\) makes 'relu'$"),
        ('norm', nn.GroupNorm, r'GroupNorm.* called with \(6\) raises TypeError: .*num_channels'),
        ('norm', lambda channels: None, r'called with \(6\) makes None$'),
    ],
)
def test_error_names_what_makes_no_module(argument, value, sentence):
    with pytest.raises(ValueError, match=f'^{argument} must be None, a module, or .*{sentence}'):
        PyramidAtrousConv(4, 6, **{argument: value})


def test_repr_tells_what_it_is():
    text = repr(PyramidAtrousConv(4, 6, RATES, merge='concat', backend='factorized'))
    assert '4, 6, rates=(1, 3, 5), merge=concat, backend=factorized' in text
