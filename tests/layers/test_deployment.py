"""Layers as they are exported: the same values, in the form that is faster in each runtime."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.runtimes import OPENERS, PACKAGES
from mmseg_pacbal.layers import PyramidAtrousConv, prepare_export
from mmseg_pacbal.layers.deployment import MIN_SAVED, FactorizedConvs, RateConvs

NORMS = {'none': None, 'batch': nn.BatchNorm2d, 'group': lambda channels: nn.GroupNorm(2, channels)}
FORMS = dict(factorized=FactorizedConvs, reference=RateConvs)
OTHERS = ('openvino', 'litert', 'ncnn', 'executorch')
EVERY = ['onnxruntime', *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]


def layer(c_in: int = 6, **options) -> PyramidAtrousConv:
    """One whose norm and bias are far from the identity."""
    torch.manual_seed(0)
    made = PyramidAtrousConv(c_in, 4, (1, 2, 5), **options)
    with torch.no_grad():
        for tensor in made.state_dict().values():
            if tensor.dim() == 1:
                tensor.uniform_(0.5, 1.5)
    return made.eval()


@torch.no_grad()
@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('merge', ['sum', 'concat'])
@pytest.mark.parametrize('norm', NORMS)
def test_plain_modules_compute_the_same(form, merge, norm):
    pac = layer(merge=merge, norm=NORMS[norm], backend='reference').double()
    inputs = [torch.randn(*shape, dtype=torch.double) for shape in ((2, 6, 7, 5), (1, 6, 1, 1))]
    expected = [pac(x) for x in inputs]
    pac.backend = form
    model = prepare_export(nn.Sequential(nn.Identity(), pac))
    assert isinstance(model[1][0], FORMS[form])
    assert not [m for m in model.modules() if isinstance(m, (PyramidAtrousConv, nn.BatchNorm2d))]
    for x, y in zip(inputs, expected, strict=True):
        torch.testing.assert_close(model(x), y)


@pytest.mark.parametrize('runtime', MIN_SAVED)
def test_rule_of_each_runtime(runtime):
    enough = -(-MIN_SAVED[runtime] // 2)  # channels, at three rates
    forms = [type(prepare_export(layer(c_in), runtime)[0]) for c_in in (enough - 1, enough)]
    assert forms == [RateConvs, FactorizedConvs]
    assert type(prepare_export(layer(enough), runtime, int8=True)[0]) is RateConvs


def test_no_graph_rearranges_the_filter():
    plain = prepare_export(layer(backend='factorized'))
    graph = torch.export.export(plain, (torch.randn(1, 6, 9, 9),)).graph
    names = {str(node.target) for node in graph.nodes if node.op == 'call_function'}
    assert not [name for name in names if 'permute' in name or 'mmseg_pacbal' in name], names


def test_unknown_runtime():
    with pytest.raises(ValueError, match=r"runtime must be one of \('onnxruntime', .*'tensorrt'"):
        prepare_export(layer(), 'tensorrt')


@torch.no_grad()
def errors(runtime: str, folder: Path) -> list[float]:
    """Relative errors of both forms of a layer in a runtime."""
    x = torch.randn(1, 6, 11, 13)
    pac = layer(backend='reference')
    expected = pac(x)
    found = []
    for pac.backend in FORMS:
        model = OPENERS[runtime](prepare_export(pac, runtime).eval(), x, folder / pac.backend, 1)
        difference = torch.from_numpy(model(x.numpy())) - expected
        found.append((difference.norm() / expected.norm()).item())
    return found


@pytest.mark.parametrize('runtime', EVERY)
def test_runtimes_agree_with_pytorch(runtime, tmp_path):
    for package in PACKAGES[runtime]:
        pytest.importorskip(package.replace('-', '_'), reason=f'the runtime {runtime} needs it')
    # Each in a process of its own: one that has run OpenVINO 2026.4 may die when it trains later.
    spawn = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        assert max(pool.submit(errors, runtime, tmp_path).result()) < 1e-5
