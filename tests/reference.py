"""The letter of the definitions, in float64: what every faster form is compared with.

One map per class, every convolution and every resize as the formula has it. Tests and benchmarks
share it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

F_E = ((1.0, -0.5), (-0.5, 0.0))  # Eq. 2: the pixel, its right and its lower neighbour


def boundary_edges_reference(
    label: Tensor,
    *,
    void_edges: bool = True,
    ignore_padding: bool = True,
    ignore_index: int = 255,
) -> Tensor:
    """Eq. 1, summed over classes: (N, H, W) integer -> (N, H, W) float64."""
    return torch.stack(
        [_class_edges(image, void_edges, ignore_padding, ignore_index).sum(0) for image in label]
    )


def boundary_weight_map_reference(
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
    """Eq. 3: (N, H, W) integer -> (N, H, W) float64."""
    blur = blur_kernel_reference(kernel, kernel_size, sigma).to(label.device)
    weights = []
    for image in label:
        height, width = image.shape
        small = (-(-height // downsample), -(-width // downsample))
        edges = _class_edges(image, void_edges, ignore_padding, ignore_index)[:, None]
        edges = _shrink(_shrink(edges.mT, small[0], antialias).mT, small[1], antialias)
        edges = F.conv2d(edges, blur[None, None], padding=kernel_size // 2)
        edges = F.interpolate(edges, (height, width), mode='bilinear', align_corners=False)
        weights.append(edges.sum(dim=(0, 1)) + beta)
    return torch.stack(weights)


def weighted_loss_reference(
    cls_score: Tensor,
    label: Tensor,
    *,
    class_weight: list[float] | None = None,
    avg_non_ignore: bool = False,
    ignore_index: int = 255,
    **map_args,
) -> Tensor:
    """Eq. 4: logits (N, C, H, W) and label (N, H, W) -> scalar float64.

    ``map_args`` are those of :func:`boundary_weight_map_reference`.
    """
    valid = label != ignore_index
    target = torch.where(valid, label, 0).long()
    log_probability = cls_score.double().log_softmax(dim=1)
    loss = -log_probability.gather(1, target[:, None])[:, 0] * valid
    if class_weight is not None:
        loss = loss * loss.new_tensor(class_weight)[target]
    weight = boundary_weight_map_reference(label, ignore_index=ignore_index, **map_args)
    n = valid.sum() if avg_non_ignore else label.numel()
    return (weight * loss).sum() / n


def blur_kernel_reference(kernel: str, kernel_size: int, sigma: float) -> Tensor:
    """Eq. 5, or Eq. 6 scaled to a peak of 1: (n, n) float64."""
    n, centre = kernel_size, kernel_size // 2
    position = torch.arange(n, dtype=torch.float64)
    y, x = torch.meshgrid(position, position, indexing='ij')
    if kernel == 'gaussian':
        return torch.exp(-((x - centre) ** 2 + (y - centre) ** 2) / (n * sigma))
    return (n - ((x - centre).abs() + (y - centre).abs())) / n


def _shrink(edges: Tensor, width: int, antialias: bool) -> Tensor:
    """Bilinear resizing of rows, (C, 1, H, W) -> (C, 1, H, width).

    One axis at a time: torch 2.13 on CPU, asked to shrink both with antialiasing to one column,
    returns that column's first value in every row.
    """
    size = (edges.shape[2], width)
    return F.interpolate(
        edges.contiguous(), size, mode='bilinear', align_corners=False, antialias=antialias
    )


def _class_edges(
    image: Tensor, void_edges: bool, ignore_padding: bool, ignore_index: int
) -> Tensor:
    """E_i of one image (H, W), for every class i that it holds: (C, H, W) float64, 0 or 1."""
    content = _without_padding(image, ignore_index) if ignore_padding else image
    classes = content[content != ignore_index].unique()
    edges = torch.zeros(len(classes), *image.shape, dtype=torch.float64, device=image.device)
    if len(classes):
        height, width = content.shape
        edges[:, :height, :width] = _correlate(content, classes, void_edges, ignore_index) != 0
    return edges


def _correlate(image: Tensor, classes: Tensor, void_edges: bool, ignore_index: int) -> Tensor:
    """One-hot maps of the classes, correlated with f_E: (C, H, W)."""
    f_e = torch.tensor([[F_E]], dtype=torch.float64, device=image.device)
    padded = F.pad(image.double()[None, None], (0, 1, 0, 1), mode='replicate')
    response = F.conv2d((padded == classes.double()[:, None, None, None]).double(), f_e)
    if not void_edges:
        # A void neighbour takes the pixel's own value in place of 0.
        void_neighbours = F.conv2d((padded == ignore_index).double(), f_e.clamp(max=0))
        response = response + void_neighbours * (image == classes[:, None, None])[:, None]
        response = response * (image != ignore_index)
    return response[:, 0]


def _without_padding(image: Tensor, ignore_index: int) -> Tensor:
    """Drop the trailing rows and columns that are void over their whole length."""
    rows, columns = (image != ignore_index).nonzero(as_tuple=True)
    if len(rows) == 0:
        return image[:0, :0]
    return image[: rows.max() + 1, : columns.max() + 1]
