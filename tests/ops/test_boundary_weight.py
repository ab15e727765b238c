"""Edges and weight map: against numbers worked out by hand, and against the plain reference."""

import gc
import itertools
import math

import cv2
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from mmseg_pacbal.ops import boundary_edges, boundary_weight, boundary_weight_map
from mmseg_pacbal.ops.boundary_weight import KERNELS
from mmseg_pacbal.ops.reference import boundary_weight_map_reference
from tests.needs import needs_mmseg
from tests.reference import boundary_edges_reference

VOID = 255
ON_OFF = (True, False)
BOTH_IMPLEMENTATIONS = pytest.mark.parametrize(
    'weight_map', [boundary_weight_map, boundary_weight_map_reference]
)

# Class 0 above left, 1 at the right, 2 along the bottom, and its edges: 2 where one neighbour
# differs (its own edge and the neighbour's), 3 where both differ from it and from each other.
THREE_CLASSES = [[0, 0, 1], [0, 0, 1], [2, 2, 2]]
THREE_CLASSES_EDGES = [[0, 2, 0], [2, 3, 2], [0, 0, 0]]
BESIDE_VOID = [[0, 0, 1], [0, VOID, VOID], [0, 0, 1]]
PADDED = [[0, 0, 0, VOID], [0, 0, 0, VOID], [VOID] * 4]


def random_label(
    generator: torch.Generator, size: tuple[int, ...], classes: int = 4, void: float = 0.2
) -> Tensor:
    """Blocks of classes and void, so that there are flat parts as well as edges."""
    *n, height, width = size
    small = (*n, -(-height // 3), -(-width // 3))
    label = torch.randint(classes, small, generator=generator)
    label[torch.rand(small, generator=generator) < void] = VOID
    label = label.repeat_interleave(3, dim=-2).repeat_interleave(3, dim=-1)
    return label[..., :height, :width].contiguous()


def padded(label: Tensor, bottom: int, right: int, value: int = VOID) -> Tensor:
    return torch.nn.functional.pad(label, (0, right, 0, bottom), value=value)


def assert_close_to_reference(label: Tensor, **options) -> None:
    expected = boundary_weight_map_reference(label, **options)
    actual = boundary_weight_map(label, **options)
    error = (actual - expected).abs().max() / expected.max().clamp(min=1e-30)
    assert actual.dtype == torch.float32
    assert error <= 1e-5, f'{tuple(label.shape)} {options}: {error:.2e} of the maximum'


@pytest.mark.parametrize('function', [boundary_edges, boundary_weight_map])
def test_error_names_what_label_is(function):
    for shape in ((4, 4), (1, 1, 4, 4)):
        with pytest.raises(ValueError, match='label must have shape') as error:
            function(torch.zeros(shape, dtype=torch.long))
        assert f'(N, H, W), but got {shape}' in str(error.value)
    for dtype in (torch.float32, torch.float16, torch.complex64):
        with pytest.raises(TypeError, match=f'label must hold integers, but got {dtype}'):
            function(torch.zeros(1, 4, 4, dtype=dtype))


@pytest.mark.parametrize('shape', [(0, 5, 7), (2, 0, 7), (2, 5, 0), (0, 0, 0)])
def test_empty_label_gives_empty_map(shape):
    label = torch.zeros(shape, dtype=torch.long)
    for function in (boundary_edges, boundary_weight_map):
        result = function(label)
        assert result.shape == shape
        assert result.dtype == torch.float32


@pytest.mark.parametrize(
    ('label', 'options', 'expected'),
    [
        (THREE_CLASSES, {}, THREE_CLASSES_EDGES),
        # Around the void: an edge of class 1 above it, of 0 to its left; within it, of what is
        # below. Without void edges the two places remain where 0 meets 1.
        (BESIDE_VOID, {}, [[0, 2, 1], [1, 1, 1], [0, 2, 0]]),
        (BESIDE_VOID, dict(void_edges=False), [[0, 2, 0], [0, 0, 0], [0, 2, 0]]),
        # Padding is an edge if asked: at the right column of class 0 and its last row.
        (PADDED, {}, [[0, 0, 0, 0]] * 3),
        (PADDED, dict(ignore_padding=False), [[0, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]),
        (PADDED, dict(ignore_padding=False, void_edges=False), [[0, 0, 0, 0]] * 3),
        # Void columns to the left and in the middle are labelled void; the last one is padding.
        ([[VOID, 0, VOID, 0, VOID]] * 3, {}, [[1, 1, 1, 0, 0]] * 3),
    ],
)
def test_edges_by_hand(label, options, expected):
    for edges in (boundary_edges, boundary_edges_reference):
        assert edges(torch.tensor([label]), **options)[0].tolist() == expected


@pytest.mark.parametrize('ignore_padding', ON_OFF)
@pytest.mark.parametrize('void_edges', ON_OFF)
def test_edges_of_every_neighbourhood(void_edges, ignore_padding):
    values = torch.tensor(list(itertools.product((0, 1, 2, VOID), repeat=4)))
    label = values.view(-1, 2, 2)  # p, r, b and what is below r; it shows that this has no say
    options = dict(void_edges=void_edges, ignore_padding=ignore_padding)
    edges = boundary_edges(label, **options)
    assert torch.equal(edges.double(), boundary_edges_reference(label, **options))
    if not ignore_padding:
        by_triple = edges[:, 0, 0].view(64, 4)
        assert torch.equal(by_triple, by_triple[:, :1].expand(-1, 4))


def kernel_of_three(kernel: str) -> dict:
    """Weight 1 in the middle, 1/2 beside, 1/4 across; or 1, 2/3, 1/3 of the linear kernel."""
    return dict(kernel=kernel, kernel_size=3, sigma=1 / (3 * math.log(2)), downsample=1)


@BOTH_IMPLEMENTATIONS
def test_map_without_blur_by_hand(weight_map):
    weight = weight_map(torch.tensor([THREE_CLASSES]), kernel_size=1, downsample=1, beta=0.25)
    expected = [[0.25, 2.25, 0.25], [2.25, 3.25, 2.25], [0.25, 0.25, 0.25]]
    assert weight[0].tolist() == expected


# E_G of THREE_CLASSES without beta, worked out by hand, of every kernel.
BY_HAND = dict(
    linear=[[11 / 3, 16 / 3, 11 / 3], [14 / 3, 7, 14 / 3], [7 / 3, 10 / 3, 7 / 3]],
    gaussian=[[2.75, 4.5, 2.75], [4, 6, 4], [1.75, 2.5, 1.75]],
)


@BOTH_IMPLEMENTATIONS
@pytest.mark.parametrize('kernel', KERNELS)
def test_map_of_three_classes_by_hand(weight_map, kernel):
    weight = weight_map(torch.tensor([THREE_CLASSES]), beta=0.5, **kernel_of_three(kernel))
    expected = torch.tensor([BY_HAND[kernel]], dtype=torch.float64) + 0.5
    torch.testing.assert_close(weight.double(), expected, rtol=1e-6, atol=0)


@BOTH_IMPLEMENTATIONS
@pytest.mark.parametrize(
    ('antialias', 'small_edges'),
    [
        # Bilinear at factor 2 is the mean of 2: columns (0, 1) and (2, 3) of edges 0, 2, 0, 0.
        (False, (1.0, 0.0)),
        # The antialiasing triangle weighs columns at distance 0.5, 1.5 by 3 : 1, cut at the frame:
        # (3 * 0 + 3 * 2 + 1 * 0) / 7 and (1 * 2 + 3 * 0 + 3 * 0) / 7.
        (True, (6 / 7, 2 / 7)),
    ],
)
def test_shrunk_map_by_hand(weight_map, antialias, small_edges):
    label = torch.tensor([[0, 0, 1, 1]]).expand(1, 4, 4)
    first, second = small_edges
    # Upsampling by 2 samples at -1/4, 1/4, 3/4, 5/4, clamped to the two small columns.
    row = [first, 0.75 * first + 0.25 * second, 0.25 * first + 0.75 * second, second]
    weight = weight_map(label, kernel_size=1, downsample=2, beta=0.0, antialias=antialias)
    torch.testing.assert_close(
        weight[0].double(), torch.tensor([row] * 4, dtype=torch.float64), rtol=1e-6, atol=1e-7
    )


ODD_SIZES = ((1, 1), (1, 7), (33, 1), (5, 3), (37, 53))


@pytest.mark.parametrize('downsample', [1, 2, 3, 4, 8])
@pytest.mark.parametrize('kernel_size', [1, 3, 15, pytest.param(35, marks=pytest.mark.slow)])
@pytest.mark.parametrize('kernel', KERNELS)
def test_map_against_reference(kernel, kernel_size, downsample, generator):
    labels = [random_label(generator, (2, *size)) for size in ODD_SIZES]
    labels[-1][1] = padded(labels[-1][1, :30, :41], 7, 12)
    sigmas = (3.0,) if kernel == 'linear' else (1.0, 3.0)
    for label, sigma, antialias, void_edges, ignore_padding in itertools.product(
        labels, sigmas, ON_OFF, ON_OFF, ON_OFF
    ):
        assert_close_to_reference(
            label,
            kernel=kernel,
            kernel_size=kernel_size,
            sigma=sigma,
            beta=0.5 if antialias else 0.0,
            downsample=downsample,
            antialias=antialias,
            void_edges=void_edges,
            ignore_padding=ignore_padding,
        )


def test_batch_equals_single_images(voc_labels):
    batch = torch.stack([padded(x, 512 - x.shape[0], 512 - x.shape[1]) for x in voc_labels[:4]])
    weight = boundary_weight_map(batch)
    # A batch may be multiplied by another kernel than one image. All terms are positive, so that a
    # sum of n products is off by n eps / 2 of itself: here of 512 columns, of 512 rows and of the 8
    # terms of interpolation and beta, on either side.
    bound = dict(rtol=(512 + 512 + 8) * torch.finfo(torch.float32).eps, atol=0)
    for index in range(len(batch)):
        single = boundary_weight_map(batch[index : index + 1])[0]
        torch.testing.assert_close(weight[index], single, **bound)


@pytest.mark.parametrize('kernel', KERNELS)
@pytest.mark.parametrize(
    ('size', 'options'),
    [
        ((375, 501), {}),
        ((37, 53), dict(downsample=1)),
        ((9, 1), dict(kernel_size=1001)),  # a kernel far larger than the image
    ],
)
def test_bits_do_not_depend_on_place_in_memory_or_threads(size, options, kernel, generator):
    label = random_label(generator, (1, *size))
    expected = boundary_weight_map(label, kernel=kernel, **options)
    # Images of an odd number of pixels begin at every alignment of float32.
    batch = boundary_weight_map(label.expand(17, -1, -1), kernel=kernel, **options)
    assert torch.equal(batch, expected.expand(17, -1, -1))
    threads = torch.get_num_threads(), cv2.getNumThreads()
    try:
        torch.set_num_threads(3)
        cv2.setNumThreads(3)
        assert torch.equal(boundary_weight_map(label, kernel=kernel, **options), expected)
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])
    assert_close_to_reference(label, kernel=kernel, **options)


@pytest.mark.parametrize('kernel', KERNELS)
def test_form_without_opencv_against_reference(kernel, generator, monkeypatch):
    """That of a GPU and of compiled models."""
    monkeypatch.setattr(boundary_weight, '_eager_on_cpu', lambda maps: False)
    for size, downsample in itertools.product(ODD_SIZES, (1, 4)):
        label = random_label(generator, (2, *size))
        assert_close_to_reference(label, kernel=kernel, downsample=downsample)


@pytest.mark.parametrize('size', [(33, 1), (33, 2), (9, 4), (13, 40)])
def test_map_of_a_transposed_label_is_the_transposed_map(size, generator):
    label = random_label(generator, (2, *size))
    for downsample, antialias in itertools.product((1, 2, 4, 8), ON_OFF):
        maps = [
            boundary_weight_map(shown, downsample=downsample, antialias=antialias)
            for shown in (label, label.mT)
        ]
        torch.testing.assert_close(maps[1].mT, maps[0], rtol=1e-5, atol=0)


def test_shape_of_a_label_without_values(generator):
    """As torch.export and memory planners call it."""
    label = random_label(generator, (2, 21, 30))
    with FakeTensorMode() as mode:
        label = mode.from_tensor(label)
        assert boundary_weight_map(label).shape == label.shape


def test_parts_of_a_large_label_are_those_of_the_whole(generator, monkeypatch):
    label = random_label(generator, (2, 33, 47))
    label[:, 29:], label[:, :, 44:] = 255, 255  # padding
    options = [dict(void_edges=v, ignore_padding=p) for v in (True, False) for p in (True, False)]
    expected = [
        (boundary_edges(label, **chosen), boundary_weight_map(label, **chosen))
        for chosen in options
    ]
    # The last part has one of the 33 rows; one of 47 columns, and columns alone, come with some.
    for part in (1, 2 * 47 * 2, 2 * 33 * 10, 2 * 47 * 8):
        monkeypatch.setattr(boundary_weight, 'PART', part)
        for chosen, (edges, weights) in zip(options, expected, strict=True):
            assert torch.equal(boundary_edges(label, **chosen), edges)
            # A CPU may round a column at the end of a part in another way.
            actual = boundary_weight_map(label, **chosen)
            torch.testing.assert_close(actual, weights, rtol=1e-6, atol=0)
            assert torch.equal(actual, weights) or part != 2 * 33 * 10


@needs_mmseg
def test_memory_is_little_more_than_label_and_weights(generator):
    from benchmarks.harness import peak_memory

    label = random_label(generator, (1, 1024, 2048)).byte()
    needed = label.numel() * (1 + 4)  # bytes of the label and of its weights in float32
    assert peak_memory(lambda: boundary_weight_map(label)) <= 1.3 * needed


@pytest.mark.parametrize(
    ('other', 'dtype'),
    [(-1, torch.int8), (-1, torch.int16), (257, torch.int64), (257, torch.uint16)],
)
def test_classes_that_no_byte_can_hold(other, dtype):
    label = torch.ones(1, 9, 12, dtype=dtype)
    few = torch.zeros(1, 9, 12, dtype=torch.int64)
    label[:, 4:, 3:], few[:, 4:, 3:] = other, 1
    assert torch.equal(boundary_edges(label).double(), boundary_edges_reference(few))


@pytest.mark.parametrize('ignore_index', [-1, -100, 256, 1000])
def test_void_label_that_the_dtype_cannot_hold(ignore_index, generator):
    # No pixel of a uint8 label is void then: 255 is a class like any other.
    label = random_label(generator, (1, 9, 12))
    expected = boundary_edges(label, ignore_index=ignore_index)
    assert torch.equal(expected.double(), boundary_edges_reference(label.where(label < 255, 9)))
    assert torch.equal(boundary_edges(label.byte(), ignore_index=ignore_index), expected)


def test_memory_layout_does_not_matter(generator):
    label = random_label(generator, (2, 20, 30))
    wide = torch.full((2, 40, 60), 5)
    wide[:, ::2, ::2] = label
    transposed = label.transpose(1, 2).contiguous().transpose(1, 2)
    expanded = label[:1].expand(3, -1, -1)
    before, expected = label.clone(), boundary_weight_map(label)
    kept = expected.clone()
    expected += 1  # the result is the caller's: nothing is cached
    expected = boundary_weight_map(label)
    assert torch.equal(expected, kept)
    assert torch.equal(label, before)
    for view in (wide[:, ::2, ::2], transposed):
        assert not view.is_contiguous()
        assert torch.equal(boundary_weight_map(view), expected)
    torch.testing.assert_close(boundary_weight_map(expanded), expected[:1].expand(3, -1, -1))


@pytest.mark.parametrize(
    ('antialias', 'masses'),
    [
        # 48 pixels with an edge of 2; shrinking and enlarging by 4 leave the sum as it is.
        (True, [96.0] * 4),
        # Bilinear at factor 4 reads lines 1 and 2 of every 4; an edge lies one before its boundary.
        (False, [0, 0, 192.0, 192.0]),
    ],
)
@pytest.mark.parametrize('vertical', ON_OFF)
def test_mass_of_a_straight_boundary_at_every_offset(vertical, antialias, masses):
    for offset, mass in enumerate(masses):
        label = torch.zeros(1, 48, 48, dtype=torch.long)
        label[..., 24 + offset :] = 1
        label = label if vertical else label.mT
        weight = boundary_weight_map(label, kernel_size=1, beta=0.0, antialias=antialias)
        assert weight.sum().item() == pytest.approx(mass, rel=1e-5)


def test_map_has_no_gradient_and_is_usable_after_inference_mode(generator):
    label = random_label(generator, (1, 9, 12))
    with torch.inference_mode():
        expected = boundary_weight_map(label).clone()
    weight = boundary_weight_map(label)
    assert torch.equal(weight, expected)
    assert not weight.is_inference()
    assert not weight.requires_grad
    scale = torch.ones((), requires_grad=True)
    (scale * weight).sum().backward()
    # Sums of 108 positive numbers, perhaps in another order: each is off by at most 107 eps / 2.
    bound = dict(rtol=107 * torch.finfo(torch.float32).eps, atol=0)
    torch.testing.assert_close(scale.grad, weight.sum(), **bound)


def test_autocast_changes_nothing(generator):
    label = random_label(generator, (2, 37, 53))
    expected = boundary_weight_map(label)
    with torch.autocast('cpu', torch.bfloat16):
        weight = boundary_weight_map(label)
    assert weight.dtype == torch.float32
    assert torch.equal(weight, expected)


def test_nothing_is_kept_between_calls():
    """Else a training on labels of many sizes would hold more and more memory."""
    gc.collect()
    held = {id(thing) for thing in gc.get_objects() if type(thing) is torch.Tensor}
    for height in range(40, 60):
        boundary_weight_map(torch.zeros(1, height, 9, dtype=torch.long))
    gc.collect()
    assert not [x for x in gc.get_objects() if type(x) is torch.Tensor and id(x) not in held]


@pytest.mark.slow  # the loss is compiled with it: tests/losses/test_pixel_losses.py
def test_compiled_for_all_sizes_in_one_graph(generator):
    torch.compiler.reset()
    compiled = torch.compile(boundary_weight_map, fullgraph=True, dynamic=True, backend='aot_eager')
    for size in ((2, 40, 33), (2, 17, 29), (3, 8, 50)):
        label = torch.randint(3, size, generator=generator)
        torch.testing.assert_close(compiled(label), boundary_weight_map(label))
