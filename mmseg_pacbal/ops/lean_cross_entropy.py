"""Upsampling and weighted cross entropy, strip by strip: full-size logits are never held.

The gradient with respect to the small logits is computed together with the loss, while a strip
of large logits is in memory, as in Liger-Kernel's fused linear cross entropy for a vocabulary
(Hsu et al. 2024, arXiv:2410.10989). Only this gradient is kept for the backward pass.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .arguments import BOOL, INT, check_arguments, check_tensor, int_from, none_or

# Strips that stay in a CPU's cache are fastest; a GPU needs larger ones to be busy.
STRIP_BYTES = {'cpu': 2**21, 'cuda': 2**25}
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
    gradient of the size of logits, and a few strips.

    Upsampling is separable, so a strip is ``rows @ logits @ columns`` with two small matrices,
    and the transposed matrices take the gradient back. If TF32 is switched on for matrix products,
    the result is only as exact as these are.

    Args:
        logits: (N, C, h, w), floating; half precision is computed in float32, also in autocast.
        label: Classes 0..C-1 or void, (N, H, W), integer. With other values the result is
            undefined; ``LabelCheck`` finds them.
        weight: Factor of every pixel, (N, H, W); no gradient flows to it. None: 1.
        ignore_index: The void label.
        align_corners: That of ``F.interpolate``.
        strip_bytes: Upper limit of the memory for the large logits of a strip, which has at least
            one row of one image. None: 2 MiB on a CPU, 32 MiB elsewhere.

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
        row_bytes = logits.shape[1] * label.shape[2] * logits.element_size()
        step = max(1, strip_bytes // max(1, row_bytes))
        return _LeanCrossEntropy.apply(logits, target, weight, valid, align_corners, step)


class _LeanCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, target, weight, valid, align_corners, step):
        """Loss, count and, if it is needed, the gradient; ``step`` rows at a time."""
        height, width = target.shape[1:]
        strips = _row_strips(_resize_matrix(logits.shape[2], height, align_corners, logits), step)
        strips = [
            (out, read, rows.to(logits.device, non_blocking=True)) for out, read, rows in strips
        ]
        columns = _resize_matrix(logits.shape[3], width, align_corners, logits)
        columns = columns.to(logits.device, non_blocking=True).T  # (w, W)
        grad = torch.zeros_like(logits) if ctx.needs_input_grad[0] else None
        loss, correct = logits.new_zeros(()), target.new_zeros(())
        for n in range(len(logits)):
            for out, read, rows in strips:
                large = rows @ logits[n, :, read] @ columns  # (C, R, W)
                strip_target = target[n, None, out]  # (1, R, W)
                at_label = large.gather(0, strip_target)[0]
                correct += ((at_label == large.amax(dim=0)) & valid[n, out]).sum()
                log_p = large.log_softmax(dim=0)
                loss -= (log_p.gather(0, strip_target)[0] * weight[n, out]).sum()
                if grad is not None:
                    # w (p - onehot), in place of log_p, then back through both matrices
                    large_grad = log_p.exp_().mul_(weight[n, out])
                    large_grad.scatter_add_(0, strip_target, -weight[n, None, out])
                    grad[n, :, read] += rows.T @ (large_grad @ columns.T)
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


def _row_strips(matrix: Tensor, step: int) -> list[tuple[slice, slice, Tensor]]:
    """Strips of output rows: their positions, the rows of logits that they read, and the matrix."""
    strips = []
    for start in range(0, len(matrix), step):
        out = slice(start, start + step)
        used = matrix[out].any(dim=0).nonzero()
        read = slice(int(used[0]), int(used[-1]) + 1)
        strips.append((out, read, matrix[out, read]))
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
