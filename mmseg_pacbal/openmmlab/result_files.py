"""Results of images of one name in several folders, which MMSegmentation writes to one file.

A ``CheckedPipeline`` names each sample by its path below the folder that all images of a loader are
in. On import, ``IoUMetric`` (``output_dir``) and ``SegVisualizationHook`` are made to follow that
name; and the hook shows images as the data set's own pipeline loads them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.runner import Runner
from mmseg.engine.hooks import SegVisualizationHook
from mmseg.evaluation.metrics import IoUMetric
from mmseg.structures import SegDataSample
from PIL import Image

from .data_checks.files import read_image
from .data_checks.samples import base_datasets, image_loader
from .inspection import picture_of, title_of

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


IoUMetric.process = process
SegVisualizationHook._after_iter = after_iter
