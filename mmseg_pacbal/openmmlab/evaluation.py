"""What MMSegmentation's own evaluation gets wrong, put right on import (needed in 1.2.2).

``IoUMetric`` counts with ``torch.histc``, whose float32 counters stop at 2^24 on a CPU, and adds up
float32. ``SegTTAModel`` leaves the scores of the last view beside the prediction of all, and takes
a sigmoid of the sigmoid of a head with one output channel. Names and all other values stay.

``IoUMetric`` (``output_dir``) and ``SegVisualizationHook`` write images of one name in several
folders to one file. Here they follow the path below the folder that all images of a loader are in,
by which a ``CheckedPipeline`` names each sample; and the hook shows images as the data set's own
pipeline loads them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.engine.hooks import SegVisualizationHook
from mmseg.evaluation.metrics import IoUMetric
from mmseg.models.segmentors import SegTTAModel
from mmseg.structures import SegDataSample
from PIL import Image
from torch import Tensor

from ..metrics.label_counts import overlap_counts
from .data_checks.files import read_image
from .data_checks.samples import base_datasets, image_loader
from .inspection import last_head, picture_of, title_of


def intersect_and_union(
    pred_label: Tensor, label: Tensor, num_classes: int, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixels of each class, (C,) int64: intersection, union, predicted, true.

    Void in ``label``, (H, W), is left out; values that are no class count for none.
    """
    none = num_classes  # what is no class, and is not counted
    valid = label != ignore_index
    both = (m.long() for m in (pred_label, label))
    classes = [m.where(valid & (m >= 0) & (m < none), none) for m in both]
    # Bytes are quicker to compare and to count.
    prediction, truth = ((m.byte() if none < 256 else m).cpu().numpy() for m in classes)
    counted = torch.from_numpy(overlap_counts(prediction, truth, num_classes))
    intersect, predicted, true = counted
    return intersect, predicted + true - intersect, predicted, true


def merge_preds(
    self: SegTTAModel, data_samples_list: list[list[SegDataSample]]
) -> list[SegDataSample]:
    """One sample for each image: mean probabilities of its views, and the prediction from them.

    ``seg_logits`` are the logarithms of the means, (C, H, W), whose softmax they are, or of a head
    with one output channel their mean, (1, H, W), as without augmentation.
    """
    merged = []
    one_channel = self.module.out_channels == 1  # of which MMSegmentation has taken the sigmoid
    for views in data_samples_list:
        scores = (view.seg_logits.data for view in views)
        mean = sum(s if one_channel else s.softmax(dim=0) for s in scores) / len(views)
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


_count = IoUMetric.process


def process(self: IoUMetric, data_batch: dict, data_samples: Sequence[dict]) -> None:
    """Count as ``IoUMetric`` does; write masks to ``output_dir``, in subfolders where images are.

    With ``reduce_zero_label`` classes are saved from 1, as in the files of the data set.
    """
    folder, self.output_dir = self.output_dir, None
    _count(self, data_batch, data_samples)
    self.output_dir = folder
    for sample in data_samples if folder is not None else ():
        mask = sample['pred_sem_seg']['data'].squeeze(0).cpu().numpy()
        path = Path(folder, sample.get('img_name') or Path(sample['img_path']).name)
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = mask + 1 if sample.get('reduce_zero_label') else mask
        Image.fromarray(mask.astype(np.uint8)).save(path.with_suffix('.png'))


def after_iter(
    self: SegVisualizationHook,
    runner: Runner,
    batch_idx: int,
    data_batch: dict,
    outputs: Sequence[SegDataSample],
    mode: str = 'val',
) -> None:
    """Draw every ``interval``-th batch, as ``SegVisualizationHook._after_iter`` does."""
    if not self.draw or mode == 'train' or not self.every_n_inner_iters(batch_idx, self.interval):
        return
    dataset = getattr(runner, f'{mode}_loop').dataloader.dataset
    loader = image_loader(next(base_datasets(dataset)))
    for output in outputs:
        pixels = read_image(output.img_path, loader)
        options: dict[str, Any] = dict(show=self.show, wait_time=self.wait_time, step=runner.iter)
        name = f'{mode}_{title_of(output)}{Path(output.img_path).suffix}'
        picture = picture_of(pixels, pixels.shape[:2])
        self._visualizer.add_datasample(name, picture, data_sample=output, **options)


IoUMetric.intersect_and_union = staticmethod(intersect_and_union)
SegTTAModel.merge_preds = merge_preds
IoUMetric.process = process
SegVisualizationHook._after_iter = after_iter
