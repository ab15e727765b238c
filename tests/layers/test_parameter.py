"""The filter is a parameter like that of a convolution, for every tool that takes parameters."""

import copy
import io

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, parametrizations, prune, vector_to_parameters

from mmseg_pacbal import PyramidAtrousConv
from mmseg_pacbal.ops.reference import pyramid_atrous_conv2d_reference

RATES = (1, 3, 5)


def layer(**options) -> PyramidAtrousConv:
    torch.manual_seed(0)
    options = dict(activation=None, backend='factorized') | options
    return PyramidAtrousConv(4, 6, RATES, **options).double()


def by_hand(x: Tensor, weight: Tensor) -> Tensor:
    return pyramid_atrous_conv2d_reference(x, weight, RATES)


@pytest.fixture
def x(generator) -> Tensor:
    return torch.randn(2, 4, 9, 11, generator=generator, dtype=torch.float64)


def test_safetensors(tmp_path, x):
    safetensors = pytest.importorskip('safetensors.torch')
    module = layer()
    safetensors.save_file(module.state_dict(), tmp_path / 'pac.safetensors')
    state = safetensors.load_file(tmp_path / 'pac.safetensors')
    assert state['weight'].shape == (6, 4, 3, 3)
    torch.testing.assert_close(by_hand(x, state['weight']), module(x))


def test_accelerate(x):
    accelerate = pytest.importorskip('accelerate')
    module = layer()
    expected = module.weight.detach() - 0.1 * torch.autograd.grad(module(x).sum(), module.weight)[0]
    accelerator = accelerate.Accelerator(cpu=True)
    prepared, optimizer = accelerator.prepare(module, torch.optim.SGD(module.parameters(), 0.1))
    accelerator.backward(prepared(x).sum())
    optimizer.step()
    torch.testing.assert_close(accelerator.unwrap_model(prepared).weight.detach(), expected)


def test_vector_of_parameters(x):
    module = layer()
    vector = parameters_to_vector(module.parameters())
    assert torch.equal(vector[: 6 * 4 * 9].view(6, 4, 3, 3), module.weight)
    vector_to_parameters(torch.arange(len(vector)).double(), module.parameters())
    assert module.weight[1, 2, 0, 1] == 36 + 18 + 1


def test_pruning(x):
    module = layer()
    prune.ln_structured(module, 'weight', amount=2, n=2, dim=0)
    out = module(x)
    assert ((out == 0).all(dim=(0, 2, 3))).sum() == 2
    torch.testing.assert_close(out, by_hand(x, module.weight))
    prune.remove(module, 'weight')
    assert module.weight.is_leaf
    assert module.weight.is_contiguous()


def test_weight_norm(x):
    module, plain = layer(), layer()
    parametrizations.weight_norm(module)
    torch.testing.assert_close(module(x), plain(x))
    parameters = tuple(module.parametrizations.weight.parameters())
    assert [p.shape for p in parameters] == [(6, 1, 1, 1), (6, 4, 3, 3)]
    found, expected = (
        torch.autograd.grad(out.square().sum(), parameters)
        for out in (module(x), by_hand(x, module.weight))
    )
    torch.testing.assert_close(found, expected)


def test_averaged_model(x):
    module = layer()
    average = torch.optim.swa_utils.AveragedModel(module)
    average.update_parameters(module)
    first = module.weight.detach().clone()
    with torch.no_grad():
        module.weight.data.add_(1)  # as mmengine's EMAHook changes it
    average.update_parameters(module)
    torch.testing.assert_close(average(x), by_hand(x, first + 0.5))
    torch.testing.assert_close(module(x), by_hand(x, first + 1))


@pytest.mark.parametrize('assign', [False, True])
def test_checkpoint_of_an_older_version(assign, x):
    """Its filter has outputs innermost in memory, and so has what the optimizer keeps."""
    module, old = layer(), layer()
    nn.init.normal_(old.weight)
    old.weight = nn.Parameter(
        old.weight.detach().permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)
    )
    optimizers = []
    for one in (old, module):
        optimizer = torch.optim.AdamW(one.parameters(), lr=0.1)
        one(x).square().sum().backward()
        optimizer.step()
        optimizers.append(optimizer)
    file = io.BytesIO()
    torch.save([old.state_dict(), optimizers[0].state_dict()], file)
    file.seek(0)
    state, optimizer_state = torch.load(file)
    assert not state['weight'].is_contiguous()
    module.load_state_dict(state, assign=assign)
    assert module.weight.is_contiguous()
    assert torch.equal(module.weight, old.weight)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    optimizer.load_state_dict(optimizer_state)
    for one, own in ((old, optimizers[0]), (module, optimizer)):
        own.zero_grad()
        one(x).square().sum().backward()
        own.step()
    torch.testing.assert_close(module.weight, old.weight)


@pytest.mark.parametrize('memory_format', [torch.channels_last, torch.contiguous_format], ids=str)
def test_memory_format(memory_format, x):
    module = copy.deepcopy(layer()).to(memory_format=memory_format)
    module.half().double()
    expected = by_hand(x, module.weight)
    assert module.weight.is_contiguous(memory_format=memory_format)
    out = module(x)
    torch.testing.assert_close(out, expected)
    grad = torch.autograd.grad(out.square().sum(), module.weight)[0]
    torch.testing.assert_close(grad, torch.autograd.grad(expected.square().sum(), module.weight)[0])
    assert grad.stride() == module.weight.stride()  # or DDP copies it
