"""The kernel is compiled for GPUs, which needs none: Triton's interpreter accepts more."""

import importlib.util
import os

import pytest

pytestmark = pytest.mark.skipif(
    os.environ.get('TRITON_INTERPRET') == '1' or importlib.util.find_spec('triton') is None,
    reason='Triton is not installed, or interprets',
)
PAPER_RATES = (1, 3, 5, 7, 9)
# Where they are 1, Triton takes arguments for constants.
PIXELS_INNERMOST = ('maps_stride_p', 'out_stride_p')
CHANNELS_INNERMOST = ('maps_stride_c', 'out_stride_c')


@pytest.fixture(autouse=True)
def no_cache(monkeypatch, tmp_path):
    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))


def compile_kernel(terms, dtype: str, ones: tuple[str, ...], capability: int, longs=()) -> str:
    """The kernel's assembly for a GPU of that compute capability."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmseg_pacbal.ops.triton import factorized as kernels

    blocks = (16, 64) if 'maps_stride_c' in ones else (256, 2)
    constants = dict.fromkeys(ones, 1) | kernels.flattened(terms)
    constants |= dict(block_pixels=blocks[0], block_channels=blocks[1])
    signature = {}
    for name in kernels.gather_kernel.arg_names:
        kind = 'i64' if name in longs else 'i32'
        kind = f'*{dtype}' if name in ('maps', 'out') else kind
        signature[name] = 'constexpr' if name in constants else kind
    source = ASTSource(fn=kernels.gather_kernel, signature=signature, constexprs=constants)
    return triton.compile(source, target=GPUTarget('cuda', capability, 32)).asm['ptx']


@pytest.mark.parametrize(
    ('dtype', 'layout', 'capability'),
    [
        ('fp32', PIXELS_INNERMOST, 90),
        ('bf16', CHANNELS_INNERMOST, 80),
        pytest.param('fp16', CHANNELS_INNERMOST, 75, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_sums_and_gradients_of_the_paper(dtype, layout, capability):
    from mmseg_pacbal.ops.triton.factorized import gradient_terms, output_terms

    for find, stores in ((output_terms, 1), (gradient_terms, 9)):
        terms = find((3, 3), PAPER_RATES, False)
        ptx = compile_kernel(terms, dtype, layout, capability)
        assert f'sm_{capability}' in ptx
        assert ptx.count('st.global') >= stores


@pytest.mark.parametrize(
    ('dtype', 'ones', 'longs'),
    [
        ('fp32', (*CHANNELS_INNERMOST, *PIXELS_INNERMOST, 'h', 'w'), ()),
        ('fp32', (*PIXELS_INNERMOST, 'channels', 'h'), ()),
        ('fp32', (*CHANNELS_INNERMOST, 'channels', 'w'), ()),
        ('fp64', PIXELS_INNERMOST, ('maps_stride_n', 'out_stride_n')),
    ],
    ids=['one pixel', 'one row', 'one column', 'large'],
)
def test_sizes_of_1_and_beyond_int32(dtype, ones, longs):
    from mmseg_pacbal.ops.triton.factorized import output_terms

    terms = output_terms((3, 3), (1, 2), True)
    assert compile_kernel(terms, dtype, ones, 90, longs).count('st.global') >= 2
