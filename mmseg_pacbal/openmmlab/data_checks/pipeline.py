"""Pipelines whose errors name the file, and which refuse wrong masks."""

from collections.abc import Iterator

import numpy as np
from mmengine.dataset import Compose
from mmseg.datasets import BaseSegDataset
from torch.utils.data import Dataset

from .files import Sample, accepted_values, check_size, check_values
from .samples import accepted_in_files, mask_reader, sample_of, verify_sample


class CheckedPipeline(Compose):
    """The pipeline of a data set, with a check of each sample as it is loaded.

    MMSegmentation's own pipeline does not report which file it could not read, nor that a mask and
    its image differ in size (a crop that fits into both would train on the wrong pixels).

    Args:
        dataset: Its existing pipeline is used; none is built.
    """

    def __init__(self, dataset: BaseSegDataset) -> None:
        self.transforms = dataset.pipeline.transforms
        self.accepted_in_files = accepted_in_files(dataset)
        self.read = mask_reader(dataset)
        self.accepted = accepted_values(len(dataset.metainfo['classes']), dataset.ignore_index)

    def __call__(self, data: dict) -> dict | None:
        """Load and transform a sample.

        Raises:
            ValueError: A file is missing or broken, the mask has the wrong size or values, or a
                transform fails; the message names the file.
        """
        sample = sample_of(data)
        try:
            return self._run(data, sample)
        except Exception as error:
            problems = verify_sample(sample, self.accepted_in_files, read=self.read).problems
            reason = '; '.join(problems) or f'image {sample.image} cannot be used: {error}'
            # On one line, since only the last line of an error in a loader's worker is shown.
            raise ValueError(' '.join(reason.split())) from error

    def _run(self, data: dict, sample: Sample) -> dict | None:
        unchecked = True
        for transform in self.transforms:
            data = transform(data)
            if data is None:
                return None
            if unchecked and sample.mask and 'gt_seg_map' in data:
                label: np.ndarray = data['gt_seg_map']
                check_size(sample, data['ori_shape'], label.shape)
                check_values(sample.mask, label, self.accepted)
                unchecked = False
        return data


def base_datasets(dataset: Dataset) -> Iterator[BaseSegDataset]:
    """MMSegmentation's data sets inside wrappers such as ``ConcatDataset``."""
    if isinstance(dataset, BaseSegDataset):
        yield dataset
        return
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for part in inner:
        if part is not None:
            yield from base_datasets(part)
