"""Predictions, weights and losses of images of a data set, ready to be drawn."""

import inspect
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ..losses import BoundaryAwareLoss
from ..ops import boundary_edges
from ..visualization import PanelRow, WeightSample
from .heads import head_losses
from .inference import converts_bgr_to_rgb, require_finite


@torch.no_grad()
def inspect_sample(
    model: BaseSegmentor,
    dataset: torch.utils.data.Dataset,
    index: int,
    own_loss: bool = False,
) -> PanelRow:
    """Predict one image and compute its weights, those of :func:`boundary_loss`, and its loss.

    The loss is plain cross entropy (Fig. 4 of the paper), or the ``own_loss`` that the head trains
    with (:func:`pixel_loss`). The pipeline must keep the original size; the model is left in eval
    mode.
    """
    model.eval()
    sample = dataset[index]
    result = model.test_step(pseudo_collate([sample]))[0]
    label = sample['data_samples'].gt_sem_seg.data.long()  # (1, H, W)
    logits = result.seg_logits.data[None].float().cpu()  # (1, C, H, W)
    require_finite(logits, result.img_path)
    binary = logits.shape[1] == 1
    if binary:  # MMSegmentation has applied a sigmoid
        logits = logits.logit(eps=torch.finfo(logits.dtype).eps)
    head = last_head(model)
    if own_loss:
        loss = pixel_loss(head, logits, label)
    else:
        loss = BoundaryAwareLoss(use_sigmoid=binary).unweighted(logits, label, head.ignore_index)
    seen = weigh_sample(model, sample)
    prediction = _array(result.pred_sem_seg.data.long())
    return PanelRow(seen.name, seen.image, seen.label, seen.weight, _array(loss), prediction)


def weigh_sample(model: BaseSegmentor, sample: dict) -> WeightSample:
    """Edges and boundary weights, by :func:`boundary_loss`, of what a pipeline packs."""
    data_sample = sample['data_samples']
    label = data_sample.gt_sem_seg.data.long()  # (1, H, W)
    pixels = sample['inputs'].permute(1, 2, 0).numpy()
    loss, ignore_index = boundary_loss(model), last_head(model).ignore_index
    edge_args = {name: loss.map_args[name] for name in ('void_edges', 'ignore_padding')}
    return WeightSample(
        name=title_of(data_sample),
        image=picture_of(pixels, label.shape[1:], converts_bgr_to_rgb(model)),
        label=_array(label),
        edges=_array(boundary_edges(label, ignore_index=ignore_index, **edge_args)),
        weight=_array(loss.weight_map(label, ignore_index)),
    )


def title_of(sample: SegDataSample) -> str:
    """The name of a sample's image, with its subfolders if a ``CheckedPipeline`` has loaded it."""
    path = Path(sample.get('img_name') or Path(sample.img_path).name)
    return '__'.join(path.with_suffix('').parts)


def picture_of(pixels: np.ndarray, size: tuple[int, int], bgr: bool = True) -> np.ndarray:
    """Pixels, (H, W) or (H, W, C), as RGB, uint8 (*size, 3): three channels, or grey of the first.

    Those of another type than uint8 are stretched to 0..255.
    """
    channels = np.atleast_3d(pixels)[..., :3]
    if channels.dtype != np.uint8:
        span = channels.min(), max(channels.max(), channels.min() + 1)
        channels = np.interp(channels, span, (0, 255)).astype(np.uint8)
    if channels.shape[2] < 3:
        channels = channels[..., :1].repeat(3, axis=2)
    picture = np.ascontiguousarray(channels[..., ::-1] if bgr else channels)
    return picture if picture.shape[:2] == size else cv2.resize(picture, size[::-1])


def spaced_indices(length: int, num: int) -> list[int]:
    """At most ``num`` indices, evenly spaced over 0..length-1."""
    num = min(num, length)
    return [i * length // num for i in range(num)]


def last_head(model: BaseSegmentor) -> BaseDecodeHead:
    """The decode head that predicts: the last one of a cascade."""
    head = model.decode_head
    return head[-1] if isinstance(head, nn.ModuleList) else head


def boundary_loss(model: BaseSegmentor) -> BoundaryAwareLoss:
    """That of the head that predicts, else of the nearest before it, else one with the defaults."""
    heads = model.decode_head
    for head in reversed(heads) if isinstance(heads, nn.ModuleList) else [heads]:
        for module in head.modules():
            if isinstance(module, BoundaryAwareLoss):
                return module
    return BoundaryAwareLoss()


def pixel_loss(head: BaseDecodeHead, logits: Tensor, label: Tensor) -> Tensor:
    """The loss that a head trains with, for every pixel, (N, H, W); several losses are added up.

    Of a loss of (N, C, H, W), the shape of the logits, the mean over C counts.
    """
    total = torch.zeros(())
    for loss in head_losses(head):
        value = torch.zeros(())
        if 'reduction_override' in inspect.signature(loss.forward).parameters:
            value = loss(logits, label, reduction_override='none', ignore_index=head.ignore_index)
        value = value.mean(dim=1) if value.dim() == 4 else value
        if value.shape != label.shape:
            raise ValueError(
                f'a loss image needs a loss for every pixel, which {type(loss).__name__} does not '
                "give; accepted in loss_decode are losses that take reduction_override='none', "
                'such as BoundaryAwareLoss and CrossEntropyLoss'
            )
        total = total + value
    return total


def pixel_loss_name(head: BaseDecodeHead) -> str:
    """What :func:`pixel_loss` shows, for a colour bar."""
    return ' + '.join(_name(loss) for loss in head_losses(head))


def weight_name(loss: BoundaryAwareLoss) -> str:
    """What ``loss.weight_map`` gives, for a colour bar."""
    return '$E_G$' if loss.normalize is None else r'$E_G / \overline{E_G}$'


def _name(loss: nn.Module) -> str:
    if isinstance(loss, BoundaryAwareLoss):
        inner = loss.pixel_loss
        return rf'{weight_name(loss)} $\cdot$ {"cross entropy" if inner is None else _name(inner)}'
    return 'cross entropy' if isinstance(loss, CrossEntropyLoss) else type(loss).__name__


def _array(x: Tensor) -> np.ndarray:
    return x.squeeze(0).cpu().numpy()
