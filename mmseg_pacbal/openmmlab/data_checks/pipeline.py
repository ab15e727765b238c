"""Pipelines whose errors name the file, and which refuse wrong masks."""

from collections.abc import Iterator

from mmengine.dataset import Compose
from mmseg.datasets import BaseSegDataset
from torch.utils.data import Dataset

from .files import SampleFiles, check_size, check_values
from .samples import MaskRules, sample_of, verify_sample


class CheckedPipeline(Compose):
    """The pipeline of a data set, with a check of each sample as it is loaded.

    MMSegmentation's own pipeline does not report which file it could not read, nor that a mask and
    its image differ in size (a crop that fits into both would train on the wrong pixels).

    Args:
        dataset: Its existing pipeline is used; none is built.
    """

    def __init__(self, dataset: BaseSegDataset) -> None:
        self.transforms = dataset.pipeline.transforms
        self.rules = MaskRules.of(dataset)

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
            problems = verify_sample(sample, self.rules).problems
            reason = '; '.join(problems) or f'image {sample.image} cannot be used: {error}'
            # On one line, since only the last line of an error in a loader's worker is shown.
            raise ValueError(' '.join(reason.split())) from error

    def _run(self, data: dict, sample: SampleFiles) -> dict | None:
        accepted = MaskRules(self.rules.num_classes, self.rules.ignore_index).accepted  # as loaded
        unchecked = True
        for transform in self.transforms:
            data = transform(data)
            if data is None:
                return None
            if unchecked and sample.mask and 'gt_seg_map' in data:
                check_size(sample, data['ori_shape'], data['gt_seg_map'].shape)
                check_values(sample.mask, data['gt_seg_map'], accepted)
                unchecked = False
        return data


def base_datasets(dataset: Dataset) -> Iterator[BaseSegDataset]:
    """MMSegmentation's data sets inside wrappers such as ``ConcatDataset``."""
    if isinstance(dataset, BaseSegDataset):
        yield dataset
        return
    for part in getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]:
        if part is not None:
            yield from base_datasets(part)
