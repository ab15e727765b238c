"""Label -> edges -> blurred weight map: the E_G of Boundary-aware Loss (Eq. 1-3, 5, 6)."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .arguments import (
    BOOL,
    INT,
    NON_NEGATIVE,
    POSITIVE,
    POSITIVE_INT,
    Accepted,
    check_arguments,
    check_tensor,
    one_of,
)

# A kernel is a sum of products f(|y - c|) * g(|x - c|): the pairs (f, g) at distances d = 0, 1, ...
KERNELS: dict[str, Callable[[Tensor, int, float], list[tuple[Tensor, Tensor]]]] = dict(
    gaussian=lambda d, n, sigma: [(torch.exp(-(d**2) / (n * sigma)),) * 2],
    linear=lambda d, n, sigma: [(torch.ones_like(d), 1 - d / n), (-d / n, torch.ones_like(d))],
)
# Pixels of which edges are found, and widened to float64, at a time: 4 MiB, which caches hold and
# glibc keeps between calls.
PART = 2**19
ACCEPTED = dict(
    kernel=one_of(*KERNELS),
    kernel_size=Accepted(
        'a positive odd integer', lambda value: POSITIVE_INT.test(value) and value % 2 == 1
    ),
    sigma=POSITIVE,
    beta=NON_NEGATIVE,
    downsample=POSITIVE_INT,
    antialias=BOOL,
    void_edges=BOOL,
    ignore_padding=BOOL,
    ignore_index=INT,
)


def check_boundary_weight_args(**arguments: object) -> None:
    """Raise ValueError unless these arguments of :func:`boundary_weight_map` are usable."""
    check_arguments(ACCEPTED, **arguments)


def integer_label(label: Tensor) -> Tensor:
    """A label, (N, H, W), integer or bool, as integers (False is 0); raise for others."""
    check_tensor('label', label)
    if label.dim() != 3:
        raise ValueError(f'label must have shape (N, H, W), but got {tuple(label.shape)}')
    if label.dtype.is_floating_point or label.dtype.is_complex:
        raise TypeError(f'label must hold integers, but got {label.dtype}')
    return label.byte() if label.dtype == torch.bool else label


@torch.no_grad()
def boundary_edges(
    label: Tensor,
    *,
    void_edges: bool = True,
    ignore_padding: bool = True,
    ignore_index: int = 255,
) -> Tensor:
    r"""Edges of all classes, summed: :math:`E = \sum_i E_i` (Eq. 1), in closed form.

    Eq. 1 marks a pixel of class i's one-hot map where the correlation with
    ``[[1, -0.5], [-0.5, 0]]`` is not 0: where the pixel, its right and its lower neighbour
    are not all inside or all outside class i. With p, r, b the labels of the three, the sum
    over classes is ``[(r != p or b != p) and p is not void]`` plus the number of distinct
    classes other than p among r and b, void not counted. No one-hot map is built.

    Args:
        label: Class of every pixel, (N, H, W), any integer dtype, or bool.
        void_edges: Whether the border between a class and void is an edge of that class.
        ignore_padding: Whether trailing rows and columns that are void over their whole
            length are padding, so that the line between image and padding is not an edge.
        ignore_index: The void label.

    Returns:
        (N, H, W), float32, values 0, 1, 2 or 3. The frame of the image is not an edge.

    Raises:
        ValueError: An argument is not one of those above, or label is not (N, H, W).
        TypeError: label is not a tensor of integers or bool.
    """
    return _edges(label, void_edges, ignore_padding, ignore_index).float()


def _edges(label: Tensor, void_edges: bool, ignore_padding: bool, ignore_index: int) -> Tensor:
    """What :func:`boundary_edges` returns, as bytes."""
    check_boundary_weight_args(
        void_edges=void_edges, ignore_padding=ignore_padding, ignore_index=ignore_index
    )
    # The edges would inherit label's memory layout, on which the rounding of the matrix products of
    # the weight map depends.
    label = integer_label(label).contiguous()
    if label.numel() == 0:
        return label.byte()
    label = _narrow(label)
    is_class = _is_class(label, ignore_index)
    before = [_before_padding(is_class, dim) for dim in (1, 2)] if ignore_padding else []
    if label.numel() <= PART or not _eager_on_cpu(label):
        return _edges_of(label, is_class, before, void_edges)
    n, height, width = label.shape
    step = max(1, PART // (n * width))
    strips = []
    for top in range(0, height, step):
        rows = slice(top, top + step + 1)  # with the lower neighbours of the last row
        lines = [line.expand_as(label)[:, rows] for line in before]
        strip = _edges_of(label[:, rows], is_class[:, rows], lines, void_edges)
        strips.append(strip[:, :step])
    return torch.cat(strips, dim=1)


def _edges_of(
    label: Tensor, is_class: Tensor, before_padding: Sequence[Tensor], void_edges: bool
) -> Tensor:
    """Edges of adjacent rows, (N, h, W); those of the last row lack what is below it."""
    # Labels are compared before they are shifted, since the results are bytes and an int64 is eight
    # times as wide. The rest is done in place: new memory costs more than the arithmetic.
    right, below = torch.zeros_like(is_class), torch.zeros_like(is_class)  # whether they differ
    right[:, :, :-1] = label[:, :, 1:] != label[:, :, :-1]
    below[:, :-1] = label[:, 1:] != label[:, :-1]
    for neighbours, before in zip((right, below), before_padding, strict=False):
        neighbours &= before
    if not void_edges:
        right[:, :, :-1] &= is_class[:, :, 1:] & is_class[:, :, :-1]
        below[:, :-1] &= is_class[:, 1:] & is_class[:, :-1]

    edges = (right | below).bitwise_and_(is_class)
    # Each neighbour's class counts, but only once if both neighbours share it.
    share = (label[:, 1:, :-1] == label[:, :-1, 1:]).view(torch.uint8)
    below[:, :-1, :-1] &= share.bitwise_and_(right[:, :-1, :-1]).bitwise_xor_(1)
    right[:, :, :-1] &= is_class[:, :, 1:]
    below[:, :-1] &= is_class[:, 1:]
    return edges.add_(right).add_(below)


@torch.no_grad()
def boundary_weight_map(
    label: Tensor,
    *,
    kernel: str = 'gaussian',
    kernel_size: int = 35,
    sigma: float = 3.0,
    beta: float = 0.5,
    downsample: int = 4,
    antialias: bool = True,
    void_edges: bool = True,
    ignore_padding: bool = True,
    ignore_index: int = 255,
) -> Tensor:
    r"""Weight of every pixel in Boundary-aware Loss.

    .. math:: E_G = \sum_i \mathrm{up}(\mathrm{down}(E_i) \circledast f_G) + \beta

    (Eq. 3), with :math:`E_i` the edges of class i (Eq. 1), :math:`f_G` the Gaussian
    :math:`\exp(-((x-c)^2 + (y-c)^2) / (n \sigma))` (Eq. 5) or the linear kernel
    :math:`(n - (|x-c| + |y-c|)) / n` (Eq. 6, scaled to a peak of 1), n = ``kernel_size`` and
    c its centre. Everything after Eq. 1 is linear, so classes are summed before the blur:
    the cost does not depend on their number.

    Args:
        label: Class of every pixel, (N, H, W), any integer dtype, or bool.
        kernel: ``'gaussian'`` or ``'linear'``.
        kernel_size: n, odd, in pixels of the downsampled edges. Zeros lie beyond the image.
        sigma: Width of the Gaussian; its variance is n * sigma / 2.
        beta: Added to every pixel: the least weight.
        downsample: Factor by which the edges are shrunk (bilinear) before the blur.
        antialias: Whether shrinking averages over every edge pixel. False follows the paper
            literally, but drops boundaries at unlucky offsets (two of four at factor 4).
        void_edges: See :func:`boundary_edges`.
        ignore_padding: See :func:`boundary_edges`.
        ignore_index: The void label.

    Returns:
        (N, H, W), float32, on label's device, without gradient, every value >= beta.

    Raises:
        ValueError: An argument is not one of those above, or label is not (N, H, W).
        TypeError: label is not a tensor of integers or bool.
    """
    check_boundary_weight_args(kernel=kernel, kernel_size=kernel_size, sigma=sigma, beta=beta)
    check_boundary_weight_args(downsample=downsample, antialias=antialias)
    edges = _edges(label, void_edges, ignore_padding, ignore_index)
    if edges.numel() == 0:
        return edges.float()
    if downsample == 1:
        return _blur(edges.float(), kernel, kernel_size, sigma).add_(beta)
    size = edges.shape[1:]
    small = _shrink(edges, [-(-length // downsample) for length in size], antialias)
    return _enlarge(_blur(small, kernel, kernel_size, sigma), size).add_(beta)


def _shrink(edges: Tensor, size: Sequence[int], antialias: bool) -> Tensor:
    """Bilinear: bytes (N, H, W) -> float32 (N, *size)."""
    # In float64: torch places pixels by coordinates in the dtype of the map, and those of float32
    # are off by 1e-5 of a pixel from 375 pixels on. One axis at a time, see _resize. Columns in
    # parts, since each is on its own.
    n, height, width = edges.shape
    columns = max(1, PART // (n * height)) if _eager_on_cpu(edges) else width
    parts = edges.split(columns, dim=2)
    rows = [_resize(p.double(), (size[0], p.shape[2]), antialias) for p in parts]
    return _resize(torch.cat(rows, dim=2), size, antialias).float()


def _narrow(label: Tensor) -> Tensor:
    """The same values as bytes, where they fit: an int64 takes eight times as long to compare."""
    if label.dtype not in (torch.int16, torch.int32, torch.int64) or not _eager_on_cpu(label):
        return label
    least, most = label.aminmax()
    return label.byte() if least >= 0 and most < 256 else label


def _is_class(label: Tensor, ignore_index: int) -> Tensor:
    """Where label is not void: (N, H, W), uint8 0 or 1."""
    accepted = torch.iinfo(label.dtype)
    if accepted.min <= ignore_index <= accepted.max:
        # With one number, torch compares bytes eight times as slowly as with a row of it.
        return (label != label.new_full(label.shape[2:], ignore_index)).view(torch.uint8)
    return torch.ones_like(label, dtype=torch.uint8)  # a comparison would wrap ignore_index around


def _before_padding(is_class: Tensor, dim: int) -> Tensor:
    """Whether a later column (dim 1) or row (dim 2) holds a class: (N, 1, W) or (N, H, 1)."""
    lines = 3 - dim
    classes_up_to_here = is_class.amax(dim, keepdim=True).cumsum(lines)
    return (classes_up_to_here < classes_up_to_here.amax(lines, keepdim=True)).view(torch.uint8)


def _blur(small: Tensor, kernel: str, n: int, sigma: float) -> Tensor:
    """Correlate (N, h, w) with the kernel, one axis at a time."""
    height, width = small.shape[1:]
    reach = min(n // 2, max(height, width))  # beyond the image there are zeros
    d = torch.arange(reach + 1, device=small.device, dtype=torch.float64)
    terms = KERNELS[kernel](d, n, sigma)
    if _eager_on_cpu(small):
        blurred = [_filter(small, f, g) for f, g in terms]
    else:
        with torch.autocast(small.device.type, enabled=False):
            blurred = [_band(f, height) @ (small @ _band(g, width)) for f, g in terms]
    return sum(blurred[1:], blurred[0])


def _eager_on_cpu(maps: Tensor) -> bool:
    """Whether OpenCV, here several times as fast as torch, can read the values of the maps."""
    values = type(maps) is Tensor and not torch.compiler.is_compiling()  # FakeTensor has none
    return values and maps.device.type == 'cpu'


def _filter(maps: Tensor, f: Tensor, g: Tensor) -> Tensor:
    """Correlate (N, h, w) with f along y and g along x, weights at the distances 0, 1, ..."""
    import cv2  # here, so that importing this package loads little beyond torch

    y, x = (torch.cat([w.flip(0), w[1:]]).numpy() for w in (f, g))
    filtered = torch.empty_like(maps)
    for before, after in zip(maps.numpy(), filtered.numpy(), strict=True):
        cv2.sepFilter2D(before, -1, x, y, after, borderType=cv2.BORDER_CONSTANT)
    return filtered


def _enlarge(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear: (N, h, w) -> (N, *size)."""
    if not _eager_on_cpu(maps):
        return _resize(maps, size)
    import cv2

    large = maps.new_empty(len(maps), *size)
    for before, after in zip(maps.numpy(), large.numpy(), strict=True):
        cv2.resize(before, (size[1], size[0]), after)
    return large


def _band(weights: Tensor, length: int) -> Tensor:
    """Correlation of one axis with weights at distances 0, 1, ..., as a matrix (length, length)."""
    at_distance = F.pad(weights.float(), (0, length))  # 0 beyond the kernel
    position = torch.arange(length, device=weights.device)
    return at_distance[(position[:, None] - position).abs()]


def _resize(maps: Tensor, size: Sequence[int], antialias: bool = False) -> Tensor:
    """Bilinear: (N, h, w) -> (N, *size); with antialiasing along one axis only."""
    if antialias and maps.shape[2] == 1:
        # torch 2.13, asked to shrink rows to one column, gives all of them the value of the first.
        return _resize(maps.expand(-1, -1, 2), (size[0], 2), antialias)[:, :, :1]
    return F.interpolate(
        maps[:, None], tuple(size), mode='bilinear', align_corners=False, antialias=antialias
    )[:, 0]
