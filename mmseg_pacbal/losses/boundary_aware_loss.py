"""Cross entropy weighted by the blurred edges of the label (Eq. 4)."""

import importlib
import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import boundary_weight_map, check_boundary_weight_args
from ..ops.arguments import BOOL, Accepted, check_arguments, one_of
from .averages import RunningSums, mean_of_processes
from .base import PixelLoss, check_pixel_weight
from .label_check import as_bytes

PIXEL_LOSS = Accepted(
    'None, a loss, or, with MMSegmentation, the config of a registered one, such as '
    "dict(type='SoftmaxFocalLoss')",
    lambda value: value is None or isinstance(value, (nn.Module, dict)),
)
ACCEPTED = dict(
    avg_non_ignore=BOOL,
    normalize=one_of(None, 'mean', 'running'),
    pixel_loss=PIXEL_LOSS,
    use_sigmoid=BOOL,
)


class BoundaryAwareLoss(PixelLoss):
    r"""Boundary-aware Loss: per-pixel cross entropy times the boundary weight map.

    .. math:: BAL = \frac{1}{n} \sum_{(x, y)} E_{G(x, y)} L_{(x, y)}

    (Eq. 4), with :math:`E_G` from :func:`mmseg_pacbal.ops.boundary_weight_map`, L the cross
    entropy of a pixel (0 at void) and n the number of pixels of the label. Weights and loss are
    computed in float32 or better, under autocast too. Pixels inside objects weigh little, and there
    the trained model is underconfident (docs/results.md): calibrate its probabilities.

    ``loss(logits, label)`` computes the map of the label. If several heads share a label, it can
    be computed once: ``weight = loss.weight_map(label)``, then
    ``loss(logits, label, boundary_weight=weight)``.

    Args:
        kernel: ``'gaussian'`` or ``'linear'``; the defaults of this and the next four are the
            best row of Table 1.
        kernel_size: Odd size of the blur, in pixels of the downsampled edges.
        sigma: Width of the Gaussian (Eq. 5).
        beta: Least weight, added everywhere (Eq. 3).
        downsample: Factor by which the edges are shrunk before the blur.
        antialias: See :func:`mmseg_pacbal.ops.boundary_weight_map`.
        void_edges: Whether the border between a class and void is an edge.
        ignore_padding: Whether the line between image and padding is left out.
        class_weight: Factor for each class; see :class:`PixelLoss`.
        avg_non_ignore: Whether n counts only pixels that are not void. The default counts all,
            as the paper and MMSegmentation do.
        normalize: ``'mean'`` divides E_G by its mean over the non-void pixels of the batch (of
            all processes in training), so that the loss keeps the scale of plain cross entropy.
            ``'running'`` divides it by the mean over some 1,000 batches of training (those of all
            processes), the right one if batches are accumulated; evaluation leaves it as it is, and
            checkpoints hold it. None uses the literal E_G, which acts like a learning rate several
            times larger.
        pixel_loss: A loss to weight instead of cross entropy, such as ``SoftmaxFocalLoss()``;
            in MMSegmentation its config, such as ``dict(type='SoftmaxFocalLoss')``. It must
            accept ``reduction_override='none'`` and ``ignore_index``, and return (N, H, W), or
            (N, C, H, W), of which the mean over C is taken.
        use_sigmoid: For models with one output channel: binary cross entropy, labels 0 and 1.
        reduction: ``'mean'`` (over n), ``'sum'`` or ``'none'``.
        loss_weight: Factor of the result.
        loss_name: See :class:`PixelLoss`.
        ignore_index: The void label; see :class:`PixelLoss`.

    Raises:
        ValueError: An argument is not one of those above.
        TypeError: An argument is unknown.
    """

    # How the config of a pixel_loss becomes a module; OpenMMLab's registry, where it is installed.
    build_pixel_loss: ClassVar[Callable[[dict], nn.Module] | None] = None

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
        class_weight: Sequence[float] | Tensor | str | None = None,
        avg_non_ignore: bool = False,
        normalize: str | None = None,
        pixel_loss: nn.Module | dict | None = None,
        use_sigmoid: bool = False,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        loss_name: str = 'loss_bal',
        ignore_index: int | None = None,
        **unknown: NoReturn,
    ) -> None:
        super().__init__(class_weight, reduction, loss_weight, loss_name, ignore_index, **unknown)
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
        self.running = RunningSums(2) if normalize == 'running' else None
        self.pixel_loss = None if pixel_loss is None else _as_per_pixel_loss(pixel_loss)
        self.use_sigmoid = use_sigmoid

    def per_pixel(
        self,
        logits: Tensor,
        label: Tensor,
        ignore_index: int,
        boundary_weight: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | float]:
        in_bytes = as_bytes(label, self._num_classes(logits), ignore_index)
        factor = self.pixel_factor(in_bytes, ignore_index, boundary_weight)  # (N, H, W)
        loss = factor * self.unweighted(logits, label, ignore_index)
        return loss, self.num_pixels(in_bytes, ignore_index)

    def pixel_factor(
        self,
        label: Tensor,
        ignore_index: int | None = None,
        boundary_weight: Tensor | None = None,
    ) -> Tensor:
        """What the cross entropy of each pixel is multiplied by: E_G times its class weight.

        (N, H, W) -> (N, H, W), float32; at void it is only finite, since the loss there is 0.
        """
        ignore_index = self.resolve_ignore_index(ignore_index)
        if boundary_weight is None:
            factor = self.weight_map(label, ignore_index)
        else:
            check_pixel_weight('boundary_weight', boundary_weight, label)
            factor = boundary_weight.reshape(label.shape)
        if self.class_weight is not None:
            factor = factor * self.class_weight[label.where(label != ignore_index, 0).long()]
        return factor

    def weight_map(self, label: Tensor, ignore_index: int | None = None) -> Tensor:
        """E_G as this loss applies it, ``normalize`` included: (N, H, W) -> (N, H, W), float32."""
        ignore_index = self.resolve_ignore_index(ignore_index)
        weight = boundary_weight_map(label, ignore_index=ignore_index, **self.map_args)
        if self.normalize is None:
            return weight
        valid = label != ignore_index
        sums: Any = mean_of_processes(
            (weight * valid).sum(), valid.sum(), training=self.training, device=label.device
        )
        total, n = sums if self.running is None else self.running(*sums)
        mean = total / n
        # Neither void alone nor beta=0 without an edge has a mean to divide by.
        return weight / torch.where(mean > 0, mean, 1)

    def unweighted(self, logits: Tensor, label: Tensor, ignore_index: int) -> Tensor:
        """L: the loss of every pixel, (N, H, W), 0 at void."""
        if self.pixel_loss is None and not self.use_sigmoid:
            return F.cross_entropy(logits, label, ignore_index=ignore_index, reduction='none')
        void = label == ignore_index
        if self.pixel_loss is None:
            target = label.masked_fill(void, 0).to(logits.dtype)
            loss = F.binary_cross_entropy_with_logits(logits[:, 0], target, reduction='none')
            return loss.masked_fill(void, 0)
        loss = self.pixel_loss(logits, label, reduction_override='none', ignore_index=ignore_index)
        loss = loss.mean(dim=1) if loss.dim() == 4 else loss
        if loss.shape != label.shape:
            raise ValueError(
                f'pixel_loss must return {tuple(label.shape)}, but gave {tuple(loss.shape)}'
            )
        return loss.masked_fill(void, 0)

    def num_pixels(self, label: Tensor, ignore_index: int) -> Tensor | float:
        """The n of Eq. 4."""
        return (label != ignore_index).sum() if self.avg_non_ignore else label.numel()

    def _num_classes(self, logits: Tensor) -> int:
        channels = logits.shape[1]
        # Two comparisons, since a compiled graph for any number of channels cannot combine them.
        if (channels != 1) if self.use_sigmoid else (channels == 1):
            raise ValueError(
                f'logits has {channels} channels with use_sigmoid={self.use_sigmoid}; '
                'use_sigmoid=True goes with exactly 1 channel, use_sigmoid=False with 2 or more'
            )
        return 2 if self.use_sigmoid else channels

    def extra_repr(self) -> str:
        return ', '.join(f'{name}={value!r}' for name, value in self.map_args.items())


def _as_per_pixel_loss(pixel_loss: nn.Module | dict) -> nn.Module:
    if isinstance(pixel_loss, dict):
        if BoundaryAwareLoss.build_pixel_loss is None:
            with suppress(ImportError):
                importlib.import_module('mmseg')  # with which this package registers its parts
        build = BoundaryAwareLoss.build_pixel_loss
        if build is None:
            raise ValueError(
                f'pixel_loss {pixel_loss!r} is a config, which needs MMSegmentation; give a '
                'loss, such as SoftmaxFocalLoss(), or install MMSegmentation'
            )
        pixel_loss = build(pixel_loss)
    if 'reduction_override' not in inspect.signature(pixel_loss.forward).parameters:
        raise ValueError(
            f'pixel_loss {type(pixel_loss).__name__} cannot give a loss for every pixel: its '
            'forward takes no reduction_override; choose a loss that does'
        )
    return pixel_loss
