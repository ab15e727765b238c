"""The factorized form in compiled and exported graphs, with sizes left free."""

import pytest
import torch
from torch import nn

from mmseg_pacbal.ops import factorized, pyramid_atrous_conv2d

SIZES = [(1, 6, 1, 1), (3, 6, 2, 40), (2, 6, 11, 13), (2, 6, 17, 9)]
CONCAT = pytest.mark.parametrize('concat', [False, True], ids=['sum', 'concat'])
LAYOUT = pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last], ids=str)


class Pyramid(nn.Module):
    def __init__(self, concat: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 6, 3, 3))
        self.merge = 'concat' if concat else 'sum'

    def forward(self, x):
        return pyramid_atrous_conv2d(
            x, self.weight, (1, 3, 5, 3), merge=self.merge, backend='factorized'
        )


@CONCAT
@LAYOUT
def test_compiled_once_for_all_sizes(concat, layout):
    torch.compiler.reset()
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    model = Pyramid(concat)
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend=count)
    for size in SIZES[1:]:
        x = torch.randn(size).contiguous(memory_format=layout)
        assert torch.equal(compiled(x), model(x))
    assert len(graphs) == 1


@pytest.mark.skipif(
    not hasattr(torch.compiler, 'is_exporting'), reason='torch tells from 2.7 on that it exports'
)
@pytest.mark.parametrize(
    ('concat', 'training'),
    [
        (False, False),
        (True, True),
        pytest.param(False, True, marks=pytest.mark.slow),
        pytest.param(True, False, marks=pytest.mark.slow),
    ],
)
def test_exported_for_all_sizes(concat, training):
    model = Pyramid(concat)
    free = torch.export.Dim.DYNAMIC
    with torch.set_grad_enabled(training):
        program = torch.export.export(
            model, (torch.randn(SIZES[2]),), dynamic_shapes=({0: free, 2: free, 3: free},)
        )
    # Nothing of this package is needed to run it.
    assert all('mmseg_pacbal' not in str(node.target) for node in program.graph.nodes)
    exported = program.module()
    for size in SIZES:
        x, grad = torch.randn(size), None
        expected = model(x)
        torch.testing.assert_close(exported(x), expected, rtol=1e-5, atol=1e-5)
        if training:
            grad = torch.randn_like(expected)
            actual = torch.autograd.grad(exported(x), exported.weight, grad)
            expected = torch.autograd.grad(expected, model.weight, grad)
            torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@CONCAT
@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_traced_for_all_sizes(concat):
    model = Pyramid(concat)
    traced = torch.jit.trace(model, torch.randn(SIZES[2]))
    nodes = [node.kind() for node in traced.inlined_graph.nodes()]
    # Nothing of this package is needed to load it, and equal shifts are added once.
    assert all(kind.startswith(('aten::', 'prim::')) for kind in nodes)
    assert nodes.count('aten::mul') < 10 * (1 + 3 * concat)
    for size in SIZES:
        x = torch.randn(size)
        torch.testing.assert_close(traced(x), model(x), rtol=1e-5, atol=1e-5)


@CONCAT
@pytest.mark.parametrize('kernel', [(1, 1), (3, 3), (5, 3)], ids=str)
def test_traceable_equals_forward(concat, kernel, generator):
    x = torch.randn(2, 6, 7, 5, generator=generator, dtype=torch.float64)
    weight = torch.randn(4, 6, *kernel, generator=generator, dtype=torch.float64)
    for rates in ((1,), (1, 3, 9), (2, 2)):
        actual = factorized.traceable(x, weight, rates, concat)
        torch.testing.assert_close(actual, factorized.forward(x, weight, rates, concat))


@pytest.mark.parametrize(
    ('concat', 'layout'),
    [
        (False, torch.contiguous_format),
        (True, torch.channels_last),
        pytest.param(False, torch.channels_last, marks=pytest.mark.slow),
        pytest.param(True, torch.contiguous_format, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_custom_ops(concat, layout):
    x = torch.randn(2, 6, 7, 5).contiguous(memory_format=layout)
    weight, rates = torch.randn(4, 6, 3, 3), [1, 3, 9]
    grad = torch.randn(2, 12 if concat else 4, 7, 5)
    ops = torch.ops.mmseg_pacbal
    for training in (False, True):
        arguments = (x, weight.requires_grad_(training), rates, concat, 'factorized', training)
        torch.library.opcheck(ops.atrous_pyramid.default, arguments)
    weight = weight.detach().permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)  # as older ones
    for needs_grad in ([True, True], [True, False], [False, True]):
        arguments = (x, weight, grad, rates, concat, 'factorized', needs_grad)
        torch.library.opcheck(ops.atrous_pyramid_backward.default, arguments)
