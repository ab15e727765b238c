"""What MMSegmentation's own evaluation gets wrong, put right on import (needed in 1.2.2).

``IoUMetric`` counts with ``torch.histc``, whose float32 counters stop at 2^24 on a CPU, and adds up
float32. ``SegTTAModel`` leaves the scores of the last view beside the prediction of all, and takes
a sigmoid of the sigmoid of a head with one output channel. Names and all other values stay.
"""

import torch
from mmengine.structures import PixelData
from mmseg.evaluation.metrics import IoUMetric
from mmseg.models.segmentors import SegTTAModel
from mmseg.structures import SegDataSample
from torch import Tensor

from .inspection import last_head


def intersect_and_union(
    pred_label: Tensor, label: Tensor, num_classes: int, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixels of each class, (C,) int64: intersection, union, predicted, true; void is left out.

    Args:
        pred_label: Classes, (H, W).
        label: Classes or void, (H, W).
        num_classes: C; other values count for no class.
        ignore_index: The void label.
    """
    valid = label != ignore_index
    prediction, truth = pred_label[valid], label[valid]
    both = truth[prediction == truth]
    intersect, predicted, true = (_counts(m.long(), num_classes) for m in (both, prediction, truth))
    return intersect, predicted + true - intersect, predicted, true


def _counts(classes: Tensor, num_classes: int) -> Tensor:
    is_class = (classes >= 0) & (classes < num_classes)
    return torch.bincount(classes[is_class], minlength=num_classes).cpu()


def merge_preds(
    self: SegTTAModel, data_samples_list: list[list[SegDataSample]]
) -> list[SegDataSample]:
    """One sample for each image: mean probabilities of its views, and the prediction from them.

    ``seg_logits`` are the logarithms of the means, (C, H, W), whose softmax they are, or of a head
    with one output channel their mean, (1, H, W), as without augmentation.
    """
    merged = []
    for views in data_samples_list:
        one_channel = self.module.out_channels == 1
        mean = torch.zeros_like(views[0].seg_logits.data)
        for view in views:  # of one channel MMSegmentation has taken the sigmoid
            scores = view.seg_logits.data
            mean += scores if one_channel else scores.softmax(dim=0)
        mean /= len(views)
        if one_channel:
            prediction = (mean > last_head(self.module).threshold).to(mean)
        else:
            prediction = mean.argmax(dim=0, keepdim=True)
        sample = views[-1]
        sample.set_data(
            {
                'seg_logits': PixelData(data=mean if one_channel else mean.log()),
                'pred_sem_seg': PixelData(data=prediction),
            }
        )
        if hasattr(views[0], 'gt_sem_seg'):
            sample.set_data({'gt_sem_seg': views[0].gt_sem_seg})
        sample.set_metainfo({'img_path': views[0].img_path})
        merged.append(sample)
    return merged


IoUMetric.intersect_and_union = staticmethod(intersect_and_union)
SegTTAModel.merge_preds = merge_preds
