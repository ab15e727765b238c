"""Both ideas as their definitions have them: what every faster form is compared with.

In float64, one map per class, every convolution and every resize spelled out.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def boundary_weight_map_reference(
    label: Tensor,
    *,
    kernel: str = 'gaussian',
    kernel_size: int = 35,
    sigma: float = 3.0,
    beta: float = 0.5,
    downsample: int = 4,
    antialias: bool = True,
    **void_args: object,
) -> Tensor:
    """E_G (Eq. 3): label (N, H, W), integer -> (N, H, W), float64."""
    blur = blur_kernel_reference(kernel, kernel_size, sigma).to(label.device)
    size = label.shape[1:]
    small = [-(-length // downsample) for length in size]
    weights = []
    for image in label:
        edges = class_edges_reference(image, **void_args)[:, None]  # type: ignore[arg-type]
        # One axis at a time, along the rows: torch 2.13, asked to shrink columns with antialiasing
        # to a map of one column, gives every row the value of the first.
        for length in reversed(small):
            shape = (edges.shape[2], length)
            edges = F.interpolate(
                edges, shape, mode='bilinear', align_corners=False, antialias=antialias
            ).mT
        edges = F.conv2d(edges, blur[None, None], padding=kernel_size // 2)
        edges = F.interpolate(edges, size, mode='bilinear', align_corners=False)
        weights.append(edges.sum(dim=(0, 1)) + beta)
    return torch.stack(weights)


def class_edges_reference(
    image: Tensor, void_edges: bool = True, ignore_padding: bool = True, ignore_index: int = 255
) -> Tensor:
    """E_i (Eq. 1) of every class i in an image: (H, W), integer -> (C, H, W), float64, 0 or 1."""
    is_class = image != ignore_index
    content = image
    if ignore_padding and is_class.any():
        rows, columns = is_class.nonzero(as_tuple=True)
        content = image[: rows.max() + 1, : columns.max() + 1]
    classes = image[is_class].unique()[:, None, None, None]
    f_e = torch.tensor([[[[1, -0.5], [-0.5, 0]]]], device=image.device).double()  # Eq. 2
    padded = F.pad(content.double()[None, None], (0, 1, 0, 1), mode='replicate')
    response = F.conv2d((padded == classes).double(), f_e)
    if not void_edges:
        # A void neighbour takes the pixel's own value in place of 0, and void has no edges.
        void_neighbours = F.conv2d((padded == ignore_index).double(), f_e.clamp(max=0))
        response = (response + void_neighbours * (content == classes)) * (content != ignore_index)
    height, width = (long - short for long, short in zip(image.shape, content.shape, strict=True))
    return F.pad((response != 0).double(), (0, width, 0, height))[:, 0]


def blur_kernel_reference(kernel: str, kernel_size: int, sigma: float) -> Tensor:
    """f_G: Eq. 5, or Eq. 6 scaled to a peak of 1: (n, n), float64."""
    offset = torch.arange(kernel_size, dtype=torch.float64) - kernel_size // 2
    y, x = torch.meshgrid(offset, offset, indexing='ij')
    return dict(
        gaussian=torch.exp(-(x**2 + y**2) / (kernel_size * sigma)),
        linear=(kernel_size - (x.abs() + y.abs())) / kernel_size,
    )[kernel]


def pyramid_atrous_conv2d_reference(x: Tensor, weight: Tensor, rates: Sequence[int]) -> Tensor:
    """PAC (section 3.3): the sum of convolutions that share one filter and differ in their rate.

    x (N, C_in, H, W), weight (C_out, C_in, kh, kw), both odd -> (N, C_out, H, W).
    """
    branches = [F.conv2d(x, weight, dilation=rate, padding='same') for rate in rates]
    return torch.stack(branches).sum(dim=0)
