"""Metrics computed from counts that add up over images and processes."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
from mmengine.evaluator import BaseMetric

from ...metrics.label_counts import class_maps, reject_nan
from ...ops.arguments import INT, check_arguments, check_names

Counts = dict[str, np.ndarray]


class CountMetric(BaseMetric):
    """Base of metrics that count in each image and compute scores from the sums.

    Args:
        ignore_index: The void label.
        **kwargs: ``collect_device``, ``prefix`` and ``collect_dir`` of ``BaseMetric``.

    Raises:
        ValueError: ignore_index is not an integer.
    """

    def __init__(self, ignore_index: int = 255, **kwargs) -> None:
        check_names(type(self), kwargs)
        super().__init__(**kwargs)
        check_arguments(dict(ignore_index=INT), ignore_index=ignore_index)
        self.ignore_index = ignore_index

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count in each image; the counts of an image are one result.

        Raises:
            ValueError: An image has no ground truth, sizes differ, a label is not a class, or the
                model gives NaN outside void.
        """
        num_classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            name = sample.get('img_path', 'an image')
            if 'gt_sem_seg' not in sample:
                metric = type(self).__name__
                raise ValueError(
                    f'{metric} compares with ground truth, but {name} has none; test on a split '
                    f'with labels, or remove {metric} from the evaluators of the config'
                )
            prediction, truth = (_array(sample[k]) for k in ('pred_sem_seg', 'gt_sem_seg'))
            try:
                maps = class_maps(prediction, truth, num_classes, self.ignore_index)
                reject_nan(_no_class(sample) & (maps[1] != num_classes))
            except ValueError as error:
                raise ValueError(f'{name}: {error}') from error
            self.results.append(self.count_sample(sample, *maps, num_classes))

    def compute_metrics(self, results: list[Counts]) -> dict[str, float]:
        """Add up the counts of all images and compute the scores."""
        total = {name: reduce(np.add, [r[name] for r in results]) for name in results[0]}
        return self.scores(total)

    def count_sample(
        self, sample: dict, prediction: np.ndarray, truth: np.ndarray, num_classes: int
    ) -> Counts:
        """Counts of an image, for metrics that need more of a sample than both maps."""
        return self.count(prediction, truth, num_classes)

    def count(self, prediction: np.ndarray, truth: np.ndarray, num_classes: int) -> Counts:
        """Counts in one image, given two maps (H, W) from :func:`class_maps`."""
        raise NotImplementedError

    def scores(self, total: Counts) -> dict[str, float]:
        """Scores, in per cent, from the counts of the whole data set."""
        raise NotImplementedError


def _no_class(sample: dict) -> np.ndarray | bool:
    """Pixels, (H, W), whose logits, where a sample has them, hold NaN: their greatest is NaN."""
    if 'seg_logits' not in sample:
        return False
    return sample['seg_logits']['data'].amax(0).isnan().cpu().numpy()


def _array(data: dict) -> np.ndarray:
    """The (1, H, W) tensor of a sample's field as an (H, W) array."""
    return data['data'].squeeze(0).cpu().numpy()
