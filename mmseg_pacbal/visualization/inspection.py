"""What a model makes of the images of a data set, ready to be drawn."""

from pathlib import Path

import mmcv
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmseg.models.segmentors.base import BaseSegmentor
from torch import nn

from ..models import BoundaryAwareLoss
from .panels import PanelRow


@torch.no_grad()
def inspect_sample(model: BaseSegmentor, dataset: torch.utils.data.Dataset, index: int) -> PanelRow:
    """Predict one image and compute its weights and its loss.

    Args:
        model: A segmentor; it is left in eval mode.
        dataset: One of MMSegmentation's, with a test pipeline that keeps the original size.
        index: Which of its images.

    Returns:
        The weights are those of the head's own BoundaryAwareLoss, or of its defaults where it
        trains with another loss; the loss is the plain cross entropy (Fig. 4 of the paper).
    """
    model.eval()
    sample = dataset[index]
    result = model.test_step(pseudo_collate([sample]))[0]
    label = sample['data_samples'].gt_sem_seg.data.long()  # (1, H, W)
    logits = result.seg_logits.data[None].float().cpu()  # (1, C, H, W)
    plain = BoundaryAwareLoss(use_sigmoid=logits.shape[1] == 1)
    weights = _boundary_loss(model.decode_head).weight_map(label)
    cross_entropy = plain.unweighted(logits, label, ignore_index=255)
    path = result.img_path
    return PanelRow(
        name=Path(path).stem,
        image=mmcv.imread(path, channel_order='rgb'),
        label=_array(label),
        weight=_array(weights),
        loss=_array(cross_entropy),
        prediction=_array(result.pred_sem_seg.data),
    )


def _boundary_loss(head: nn.Module) -> BoundaryAwareLoss:
    losses = [m for m in head.modules() if isinstance(m, BoundaryAwareLoss)]
    return losses[0] if losses else BoundaryAwareLoss()


def _array(x: torch.Tensor) -> np.ndarray:
    return x.squeeze(0).cpu().numpy()
