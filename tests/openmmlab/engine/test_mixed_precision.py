"""bfloat16 on any device: what the wrapper computes in, and what a config is given for it."""

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import OPTIM_WRAPPERS
from torch import nn

from mmseg_pacbal.openmmlab.engine import (
    BFloat16OptimWrapper,
    inference_autocast,
    use_amp_in_testing,
    use_amp_in_training,
)


def wrapper(model: nn.Module, **settings: object) -> BFloat16OptimWrapper:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return OPTIM_WRAPPERS.build(dict(type='BFloat16OptimWrapper', optimizer=optimizer, **settings))


def config(**settings: object) -> Config:
    wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1), **settings)
    return Config(dict(optim_wrapper=wrapper, test_cfg=dict(type='TestLoop')))


def test_a_step_is_that_of_autocast(generator):
    model = nn.Conv2d(3, 4, 3)
    before = model.weight.detach().clone()
    x = torch.randn(2, 3, 8, 8, generator=generator)
    with inference_autocast(model):
        out = model(x)
    assert out.dtype == torch.bfloat16
    (gradient,) = torch.autograd.grad(out.float().square().mean(), model.weight)
    # SGD's own operation, since a fused multiply-add rounds once on some CPUs.
    expected = model.weight.detach().clone().add_(gradient, alpha=-0.1)

    optim = wrapper(model)
    with optim.optim_context(model):
        inside = model(x)
    assert inside.dtype == torch.bfloat16
    optim.update_params(inside.float().square().mean())
    assert model.weight.dtype == gradient.dtype == torch.float32
    # A step rounds 0.1, its product and the difference, or, fused, the product not: both ways
    # lie within 3 eps / 2 of 0.1 |gradient| and eps / 2 of the result from the exact step.
    eps = torch.finfo(torch.float32).eps
    bound = eps * (0.3 * gradient.abs() + expected.abs())
    assert ((model.weight - expected).abs() <= bound).all()
    assert (model.weight - before).abs().max() > 100 * bound.max()
    assert model(x).dtype == torch.float32


def test_gradients_that_float16_loses_are_kept():
    model = nn.Linear(1, 1, bias=False)
    optim = wrapper(model)
    with optim.optim_context(model):
        loss = (model(torch.ones(1, 1)) * 1e-30).sum()
    optim.backward(loss)
    assert model.weight.grad.item() == pytest.approx(1e-30, rel=2**-8)


def test_gradients_accumulate(generator):
    model = nn.Linear(2, 1, bias=False)
    before = model.weight.clone()
    optim = wrapper(model, accumulative_counts=2)
    gradients = []
    for _ in range(2):
        assert torch.equal(model.weight, before)
        x = torch.randn(4, 2, generator=generator).bfloat16().float()
        with optim.optim_context(model):
            optim.update_params(model(x).float().mean())
        gradients.append(x.mean(dim=0))
    expected = before - 0.1 * torch.stack(gradients).mean(dim=0)
    torch.testing.assert_close(model.weight.data, expected, rtol=2**-7, atol=2**-9)


@pytest.mark.parametrize('dtype', ['float16', torch.float16, 'float32'])
def test_other_dtypes_are_refused(dtype):
    message = (
        f"^optim_wrapper.dtype is '{str(dtype)[-7:]}', but mixed precision without a gradient "
        "scaler, as on a CPU, supports 'bfloat16' only; set optim_wrapper.dtype=bfloat16, or "
        'train in float16 on a GPU$'
    )
    with pytest.raises(ValueError, match=message):
        wrapper(nn.Linear(1, 1), dtype=dtype)
    with pytest.raises(ValueError, match=message):
        use_amp_in_training(config(dtype=dtype), 'cpu')


@pytest.mark.parametrize(
    ('device', 'given', 'kind', 'scale', 'said'),
    [
        (
            *('cpu', {'loss_scale': 512.0}, 'BFloat16OptimWrapper', None),
            ["optim_wrapper.type = 'BFloat16OptimWrapper'", 'optim_wrapper.loss_scale is removed'],
        ),
        (
            *('cuda', {}, 'AmpOptimWrapper', 'dynamic'),
            ["optim_wrapper.type = 'AmpOptimWrapper'", "optim_wrapper.loss_scale = 'dynamic'"],
        ),
        (
            *('cuda', {'loss_scale': 512.0}, 'AmpOptimWrapper', 512.0),
            ["optim_wrapper.type = 'AmpOptimWrapper'"],
        ),
    ],
)
def test_a_config_trains_in_the_dtype_of_its_device(device, given, kind, scale, said, capsys):
    cfg = config(**given)
    use_amp_in_training(cfg, device)
    assert (cfg.optim_wrapper.type, cfg.optim_wrapper.get('loss_scale')) == (kind, scale)
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(f'config: {s}') for line, s in zip(lines, said, strict=True))


def test_testing_is_mmengines_own(capsys):
    cfg = config()
    use_amp_in_testing(cfg)
    assert cfg.test_cfg.fp16
    assert capsys.readouterr().out == 'config: test_cfg.fp16 = True\n'
