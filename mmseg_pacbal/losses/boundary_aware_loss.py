"""Cross entropy weighted by the blurred edges of the label (Eq. 4)."""

import inspect
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..openmmlab.arguments import config_of, explains_unknown_arguments, none_or
from ..ops import boundary_weight_map, check_boundary_weight_args
from ..ops.arguments import BOOL, Accepted, check_arguments
from .base import PixelLoss
from .label_check import as_bytes
from .reduction import class_weight_for

ACCEPTED = dict(
    avg_non_ignore=BOOL,
    normalize=Accepted("None or 'mean'", lambda value: value in (None, 'mean')),
    pixel_loss=none_or(config_of('loss', 'SoftmaxFocalLoss', MODELS)),
    use_sigmoid=BOOL,
)


@MODELS.register_module()
@explains_unknown_arguments
class BoundaryAwareLoss(PixelLoss):
    r"""Boundary-aware Loss: per-pixel cross entropy times the boundary weight map.

    .. math:: BAL = \frac{1}{n} \sum_{(x, y)} E_{G(x, y)} L_{(x, y)}

    (Eq. 4), with :math:`E_G` from :func:`mmseg_pacbal.ops.boundary_weight_map`, L the cross
    entropy of a pixel (0 at void) and n the number of pixels of the label. Weights and loss are
    computed in float32 or better, under autocast too.

    Args:
        kernel: ``'gaussian'`` or ``'linear'``; the defaults of this and the next four are the
            best row of Table 1.
        kernel_size: Odd size of the blur, in pixels of the downsampled edges.
        sigma: Width of the Gaussian (Eq. 5).
        beta: Least weight, added everywhere (Eq. 3).
        downsample: Factor by which the edges are shrunk before the blur.
        antialias: See :func:`mmseg_pacbal.ops.boundary_weight_map`.
        void_edges: Whether the border between a class and void is an edge.
        ignore_padding: Whether the line where image meets padding is left out.
        class_weight: Factor for each class, a list or the name of a file (npy, pkl, json,
            yaml); void needs none.
        avg_non_ignore: Whether n counts only pixels that are not void. The default counts all,
            as the paper and MMSegmentation do.
        normalize: ``'mean'`` divides E_G by its mean over the non-void pixels of the batch (of
            all processes in training), so that the loss keeps the scale of plain cross entropy.
            The literal E_G of None acts like a learning rate several times larger.
        pixel_loss: A registered loss to weight in place of cross entropy, such as
            ``dict(type='SoftmaxFocalLoss')`` or ``dict(type='OHEMPixelLoss')``. It must accept
            ``reduction_override='none'`` and return (N, H, W), or (N, C, H, W), of which the
            mean over C is taken.
        use_sigmoid: For heads with one output channel: binary cross entropy, labels 0 and 1.
        reduction: ``'mean'`` (over n), ``'sum'`` or ``'none'``.
        loss_weight: Factor of the result.
        loss_name: Name in the log. Only names that begin with ``loss_`` are trained.

    Raises:
        ValueError: An argument is not one of those above.
    """

    def __init__(
        self,
        kernel: str = 'gaussian',
        kernel_size: int = 35,
        sigma: float = 3.0,
        beta: float = 0.5,
        downsample: int = 4,
        antialias: bool = True,
        void_edges: bool = True,
        ignore_padding: bool = True,
        class_weight: list[float] | str | None = None,
        avg_non_ignore: bool = False,
        normalize: str | None = None,
        pixel_loss: dict | None = None,
        use_sigmoid: bool = False,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        loss_name: str = 'loss_bal',
    ) -> None:
        super().__init__(class_weight, reduction, loss_weight, loss_name)
        check_arguments(
            ACCEPTED,
            avg_non_ignore=avg_non_ignore,
            normalize=normalize,
            pixel_loss=pixel_loss,
            use_sigmoid=use_sigmoid,
        )
        if pixel_loss is not None and (class_weight is not None or use_sigmoid):
            raise ValueError(
                'class_weight and use_sigmoid belong to the cross entropy that pixel_loss '
                'replaces; give them to pixel_loss instead'
            )
        if use_sigmoid and class_weight is not None:
            raise ValueError(f'class_weight {class_weight!r} needs use_sigmoid=False')
        self.map_args: dict[str, Any] = dict(
            kernel=kernel,
            kernel_size=kernel_size,
            sigma=sigma,
            beta=beta,
            downsample=downsample,
            antialias=antialias,
            void_edges=void_edges,
            ignore_padding=ignore_padding,
        )
        check_boundary_weight_args(**self.map_args)
        self.avg_non_ignore = avg_non_ignore
        self.normalize = normalize
        self.pixel_loss = None if pixel_loss is None else _build_pixel_loss(pixel_loss)
        self.use_sigmoid = use_sigmoid

    def weight_map(self, label: Tensor, ignore_index: int = 255) -> Tensor:
        """E_G as this loss applies it, ``normalize`` included: (N, H, W) -> (N, H, W), float32."""
        weight = boundary_weight_map(label, ignore_index=ignore_index, **self.map_args)
        if self.normalize == 'mean':
            valid = label != ignore_index
            total, n = self.mean_of_processes(
                (weight * valid).sum(), valid.sum(), device=label.device
            )
            mean = total / n
            # Neither void alone nor beta=0 without an edge has a mean to divide by.
            weight = weight / torch.where(mean > 0, mean, 1)
        return weight

    def num_classes(self, cls_score: Tensor) -> int:
        channels = cls_score.shape[1]
        if self.use_sigmoid != (channels == 1):
            raise ValueError(
                f'cls_score has {channels} channels with use_sigmoid={self.use_sigmoid}; '
                'use_sigmoid=True goes with exactly 1 channel, use_sigmoid=False with 2 or more'
            )
        return max(channels, 2)

    def per_pixel(
        self, cls_score: Tensor, label: Tensor, ignore_index: int
    ) -> tuple[Tensor, Tensor | float]:
        in_bytes = as_bytes(label, self.num_classes(cls_score), ignore_index)
        weight = self.weight_map(in_bytes, ignore_index)
        loss = weight * self.unweighted(cls_score, label, ignore_index)
        n = (label != ignore_index).sum() if self.avg_non_ignore else label.numel()
        return loss, n

    def unweighted(self, cls_score: Tensor, label: Tensor, ignore_index: int) -> Tensor:
        """L: the loss of every pixel, (N, H, W), 0 at void."""
        valid = label != ignore_index
        if self.pixel_loss is not None:
            loss = self.pixel_loss(
                cls_score, label, reduction_override='none', ignore_index=ignore_index
            )
            loss = loss.mean(dim=1) if loss.dim() == 4 else loss
            if loss.shape != label.shape:
                raise ValueError(
                    f'pixel_loss must return {tuple(label.shape)}, but gave {tuple(loss.shape)}'
                )
            return loss.masked_fill(~valid, 0)
        if self.use_sigmoid:
            target = (label * valid).to(cls_score.dtype)
            loss = F.binary_cross_entropy_with_logits(cls_score[:, 0], target, reduction='none')
            return loss.masked_fill(~valid, 0)
        weight = class_weight_for(cls_score, self.class_weight)
        return F.cross_entropy(
            cls_score, label, weight, ignore_index=ignore_index, reduction='none'
        )

    def extra_repr(self) -> str:
        return ', '.join(f'{name}={value!r}' for name, value in self.map_args.items())


def _build_pixel_loss(cfg: dict) -> nn.Module:
    loss = MODELS.build(cfg)
    if 'reduction_override' not in inspect.signature(loss.forward).parameters:
        raise ValueError(
            f'pixel_loss {type(loss).__name__} cannot give a loss for every pixel: its forward '
            'takes no reduction_override; choose a loss that does'
        )
    return loss
