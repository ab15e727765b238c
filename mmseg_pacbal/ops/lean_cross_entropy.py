"""Upsampling and weighted cross entropy, tile by tile: full-size logits are never held.

The gradient with respect to the small logits is computed together with the loss, while a tile
of large logits is in memory, as in Liger-Kernel's fused linear cross entropy for a vocabulary
(Hsu et al. 2024, arXiv:2410.10989). Only this gradient is kept for the backward pass.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .arguments import BOOL, INT, check_arguments, check_tensor, int_from, none_or

# Tiles that stay in a CPU's cache are fastest, and narrow ones read few columns of the logits: a
# product with all of them would cost more than the cross entropy. A GPU needs strips to be busy.
STRIP_BYTES = {'cpu': 2**20, 'cuda': 2**25}
TILE_WIDTH = {'cpu': 128}
ACCEPTED = dict(ignore_index=INT, align_corners=BOOL, strip_bytes=none_or(int_from(1)))


def lean_cross_entropy(
    logits: Tensor,
    label: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = 255,
    align_corners: bool = False,
    strip_bytes: int | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Weighted cross entropy of logits that are smaller than the label.

    .. math:: \sum_p w_p \left( \log \sum_c e^{z_{cp}} - z_{l_p p} \right), \quad
        z = \mathrm{up}(logits) \text{ (bilinear)}

    over the pixels p whose label is not void. Class weights and the divisor of a mean are
    factors of a pixel: put them into ``weight``. Value and gradient equal those of
    ``F.interpolate`` and ``F.cross_entropy`` up to rounding. Memory beyond the arguments: a
    gradient of the size of logits, and a few tiles.

    Upsampling is separable, so a tile is ``rows @ logits @ columns`` with two small matrices,
    and the transposed matrices take the gradient back. If TF32 is switched on for matrix products,
    the result is only as exact as these are.

    Args:
        logits: (N, C, h, w), floating; half precision is computed in float32, also in autocast.
        label: Classes 0..C-1 or void, (N, H, W), integer. With other values the result is
            undefined; ``LabelCheck`` finds them.
        weight: Factor of every pixel, (N, H, W); no gradient flows to it. None: 1.
        ignore_index: The void label.
        align_corners: That of ``F.interpolate``.
        strip_bytes: Upper limit of the memory for the large logits of a tile, which has at least
            one row: of 128 pixels on a CPU, of one image elsewhere. None: 1 MiB on a CPU, 32 MiB
            elsewhere.

    Returns:
        The loss, a scalar that can be differentiated once, and the number of pixels whose label
        has the largest logit (int64; of equal logits each counts as the largest).

    Raises:
        ValueError: A shape or an option is not one of those above.
        TypeError: logits, label or weight is not a tensor.
    """
    check_arguments(
        ACCEPTED, ignore_index=ignore_index, align_corners=align_corners, strip_bytes=strip_bytes
    )
    _check_shapes(logits, label, weight)
    with torch.autocast(logits.device.type, enabled=False):
        if logits.dtype in (torch.float16, torch.bfloat16):
            logits = logits.float()
        label = label.long()
        valid = label != ignore_index
        target = torch.where(valid, label, 0)
        weight = valid.to(logits.dtype) if weight is None else weight.to(logits.dtype) * valid
        strip_bytes = strip_bytes or STRIP_BYTES.get(logits.device.type, 2**25)
        width = max(1, min(label.shape[2], TILE_WIDTH.get(logits.device.type, label.shape[2])))
        row_bytes = logits.shape[1] * width * logits.element_size()
        tile = (max(1, strip_bytes // max(1, row_bytes)), width)
        return _LeanCrossEntropy.apply(logits, target, weight, valid, align_corners, tile)


class _LeanCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, target, weight, valid, align_corners, tile):
        """Loss, count and, if it is needed, the gradient; ``tile`` rows and columns at a time."""
        down, across = (
            _strips(_resize_matrix(short, long, align_corners, logits), step, logits.device)
            for short, long, step in zip(logits.shape[2:], target.shape[1:], tile, strict=True)
        )
        grad = torch.zeros_like(logits) if ctx.needs_input_grad[0] else None
        loss, correct = logits.new_zeros(()), target.new_zeros(())
        tiles = itertools.product(range(len(logits)), down, across)
        for n, (row_out, row_in, rows), (column_out, column_in, columns) in tiles:
            out, read = (n, row_out, column_out), (n, slice(None), row_in, column_in)
            classes, weights = target[out][None], weight[out]
            large = rows @ logits[read] @ columns.T  # (C, R, S)
            large -= large.amax(dim=0)
            at_label = large.gather(0, classes)[0]
            correct += ((at_label == 0) & valid[out]).sum()
            total = large.exp_().sum(dim=0)
            loss += ((total.log() - at_label) * weights).sum()
            if grad is not None:
                # w (p - onehot), in place of the exponentials, then back through both matrices
                large *= weights / total
                large.scatter_add_(0, classes, -weights[None])
                grad[read] += rows.T @ (large @ columns)
        if grad is not None:
            ctx.save_for_backward(grad)
        ctx.mark_non_differentiable(correct)
        return loss, correct

    @staticmethod
    @once_differentiable
    def backward(ctx, loss_grad, _):
        return ctx.saved_tensors[0] * loss_grad, None, None, None, None, None


def _resize_matrix(short: int, long: int, align_corners: bool, like: Tensor) -> Tensor:
    """Bilinear resizing of one axis as a matrix, (long, short), on the CPU."""
    # interpolate does not change an axis that keeps its length, so this resizes the rows only.
    identity = torch.eye(short, dtype=like.dtype)[None, None]
    size = (long, short)
    return F.interpolate(identity, size, mode='bilinear', align_corners=align_corners)[0, 0]


def _strips(matrix: Tensor, step: int, device: torch.device) -> list[tuple[slice, slice, Tensor]]:
    """Strips of output rows: their positions, the inputs that they read, and the matrix."""
    strips = []
    for start in range(0, len(matrix), step):
        out = slice(start, start + step)
        used = matrix[out].any(dim=0).nonzero()
        read = slice(int(used[0]), int(used[-1]) + 1)
        strips.append((out, read, matrix[out, read].to(device, non_blocking=True)))
    return strips


def _check_shapes(logits: Tensor, label: Tensor, weight: Tensor | None) -> None:
    check_tensor('logits', logits)
    check_tensor('label', label)
    shape = tuple(logits.shape)
    if len(shape) != 4 or not logits.is_floating_point():
        raise ValueError(f'logits must be floating, (N, C, h, w), but got {logits.dtype} {shape}')
    if label.dim() != 3 or label.shape[0] != shape[0] or label.is_floating_point():
        raise ValueError(
            f'label must be integer, ({shape[0]}, H, W) for logits {shape}, '
            f'but got {label.dtype} {tuple(label.shape)}'
        )
    if weight is not None:
        check_tensor('weight', weight)
        if weight.shape != label.shape:
            raise ValueError(
                f'weight must be {tuple(label.shape)} as label is, but got {tuple(weight.shape)}'
            )
