"""Bits that are promised to repeat do so wherever the arrays begin in memory."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from mmseg_pacbal import BoundaryAwareLoss, boundary_weight_map
from mmseg_pacbal.datasets.synthetic_scene import render_scene
from mmseg_pacbal.metrics.boundary_quality import boundary_iou_counts, contour_counts, trimap_counts
from mmseg_pacbal.metrics.calibration import calibration_counts, confidence
from mmseg_pacbal.metrics.hard_regions import region_masks
from mmseg_pacbal.ops import border_weight_map, lean_cross_entropy, pyramid_atrous_conv2d
from mmseg_pacbal.ops.border_weight import distance_to
from tests import moved_memory
from tests.environments import printed_by
from tests.needs import needs_mmseg

CLASSES, VOID = 3, 255
RNG = np.random.default_rng(0)
LABEL = np.zeros((42, 50), np.uint8)
LABEL[3:6, 4:9] = LABEL[2, 45] = 1
LABEL[30:33, 20:22] = 2
LABEL[20:22, 30:] = VOID
SHIFTED = np.roll(LABEL, 2, axis=1) % VOID
IMAGE = RNG.integers(0, 256, (30, 41, 3), dtype=np.uint8)
LOGITS = RNG.standard_normal((1, CLASSES, 42, 50), np.float32)
SMALL = RNG.standard_normal((1, CLASSES, 11, 13), np.float32)
FILTER = RNG.standard_normal((4, CLASSES, 3, 3), np.float32)


def label() -> torch.Tensor:
    return torch.from_numpy(LABEL.copy())[None]


def loss_and_gradient(compute: Callable[[torch.Tensor], torch.Tensor], x: np.ndarray) -> list:
    tensor = nn.Parameter(torch.from_numpy(x.copy()))
    loss = compute(tensor)
    return [loss.detach(), *torch.autograd.grad(loss, tensor)]


def counts() -> list:
    maps = SHIFTED.copy(), np.where(LABEL == VOID, CLASSES, LABEL)
    return [
        boundary_iou_counts(*maps, CLASSES),
        trimap_counts(*maps, CLASSES, (1, 3)),
        contour_counts(*maps, CLASSES, 0.03),
    ]


def calibration() -> list:
    prediction, truth = LOGITS[0].argmax(0), np.where(LABEL == VOID, CLASSES, LABEL)
    return [calibration_counts(confidence(LOGITS[0].copy()), prediction, truth, CLASSES)]


def resized() -> list:
    from mmcv import imrescale, imresize

    return [imrescale(IMAGE.copy(), 1.75), imresize(IMAGE.copy(), (19, 17))]


def lean(x: torch.Tensor) -> torch.Tensor:
    return lean_cross_entropy(x, label())[0]


def pyramid(x: torch.Tensor) -> torch.Tensor:
    return pyramid_atrous_conv2d(x, torch.from_numpy(FILTER.copy()), (1, 3)).square().sum()


CASES: dict[str, Callable[[], list]] = {
    'distances': lambda: [distance_to(LABEL == 2)],
    'border weights': lambda: [border_weight_map(label(), sigma=20)],
    'boundary weights': lambda: [boundary_weight_map(label())],
    'loss': lambda: loss_and_gradient(lambda x: BoundaryAwareLoss()(x, label()), LOGITS),
    'lean loss': lambda: loss_and_gradient(lean, SMALL),
    'pyramid': lambda: loss_and_gradient(pyramid, SMALL),
    'boundary counts': counts,
    'hard regions': lambda: list(region_masks(LABEL % VOID, CLASSES).values()),
    'calibration': calibration,
    'generated image': lambda: list(render_scene(np.random.default_rng(3), (24, 30))),
    'resized image': resized,
}


def check_bits(name: str, calls: int) -> None:
    """Raise unless equal calls return equal bits, with memory moved about in between."""
    expected = None
    for call in range(calls):
        moved_memory.move(4 * call % moved_memory.LINE)
        results = [np.asarray(result).tobytes() for result in CASES[name]()]
        expected = expected or results
        if results != expected:  # an assertion would print them all
            raise AssertionError(f'{name}: other bits in call {call}')


@needs_mmseg
@pytest.mark.parametrize(
    'calls',  # the first three times at every place in a line of memory
    [48, pytest.param(1500, marks=pytest.mark.long)],
)
@pytest.mark.parametrize(
    ('ipp', 'names'),
    [
        ({}, [*CASES]),
        # OpenCV's distances in IPP's SSE4.2 round by alignment on every x86 CPU.
        ({'OPENCV_IPP': 'sse42'}, ['distances', 'border weights', 'hard regions']),
    ],
    ids=['own kernels', 'SSE4.2 of IPP'],
)
def test_bits_of_equal_calls_are_equal(ipp, names, calls):
    # In a process of its own: where NumPy frees an array while an exception is under way, an
    # allocator in Python loses the exception.
    code = f'from tests.test_equal_bits import check_bits\nfor n in {names}: check_bits(n, {calls})'
    printed_by(code, **ipp)


@pytest.mark.parametrize('size', [(1, 1), (1, 9), (60, 45), (1100, 1300)])
def test_distances_are_roots_of_whole_numbers(size):
    mask = np.zeros(size, bool)
    mask[0, 0] = True
    exact = ndimage.distance_transform_edt(~mask)  # computed from whole numbers in float64
    assert np.array_equal(distance_to(mask), exact.astype(np.float32))
    assert np.isinf(distance_to(np.zeros(size, bool))).all()
