"""The checks of :mod:`.files` on whole data sets, in threads, and on samples as they are loaded."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import Compose
from mmseg.datasets import BaseSegDataset
from torch.utils.data import Dataset

from ...datasets.palette import VOID
from ...metrics.label_counts import label_counts
from ..terminal import track
from .files import Loader, SampleFiles, check_size, check_values, labels_of_values, read_image
from .masks import read_mask


class MaskRules(NamedTuple):
    """What a data set takes the values of its masks for."""

    num_classes: int  # the labels below it are classes
    ignore_index: int = VOID
    labels: np.ndarray = labels_of_values()  # of each value, uint8 (256,)
    read: Callable[[str], np.ndarray] = read_mask  # path -> values, integers (H, W)
    loader: Loader | None = None  # of images, see :func:`.files.read_image`

    @classmethod
    def of(cls, dataset: BaseSegDataset) -> 'MaskRules':
        """The rules of a data set, which may have a ``read_mask`` and a loader of its own."""
        return cls(
            len(dataset.metainfo['classes']),
            dataset.ignore_index,
            labels_of_values(dataset.reduce_zero_label, dataset.label_map),
            getattr(dataset, 'read_mask', read_mask),
            image_loader(dataset),
        )

    @property
    def accepted(self) -> np.ndarray:
        """Whether a mask may hold each value, bool (256,)."""
        return (self.labels < self.num_classes) | (self.labels == self.ignore_index)


class Findings(NamedTuple):
    """What was found in samples: sentences, and how many pixels have each label, int64 (256,)."""

    images: int
    broken: int
    problems: list[str]
    counts: np.ndarray
    unmarked: list[str]  # masks that hold 255, which is void, and at most 0 beside it
    void_beside_classes: bool  # whether another mask holds 255 as void


def sample_of(data_info: dict) -> SampleFiles:
    """The files that ``BaseSegDataset.get_data_info`` names."""
    return SampleFiles(data_info['img_path'], data_info.get('seg_map_path'))


def image_loader(dataset: BaseSegDataset) -> Loader | None:
    """The transform of a data set's pipeline that reads images, the first one."""
    return next(iter(dataset.pipeline.transforms), None)


def common_folder(datasets: Sequence[BaseSegDataset]) -> str:
    """The folder that all images of some data sets are in; empty for several drives."""
    folders = (part.data_prefix.get('img_path') or '' for part in datasets)
    try:
        return os.path.commonpath([*map(os.path.abspath, folders)])
    except ValueError:  # on Windows
        return ''


def base_datasets(dataset: Dataset) -> Iterator[BaseSegDataset]:
    """MMSegmentation's data sets inside wrappers such as ``ConcatDataset``."""
    if isinstance(dataset, BaseSegDataset):
        yield dataset
    else:
        for part in getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]:
            yield from base_datasets(part) if part is not None else ()


def attempt(problems: list[str], check: Callable, *args: object) -> Any:
    """The result of a check; None if it fails, of which ``problems`` gets the sentence."""
    try:
        return check(*args)
    except (FileNotFoundError, ValueError) as error:
        problems.append(str(error))


def verify_sample(sample: SampleFiles, rules: MaskRules) -> tuple[list[str], np.ndarray]:
    """Read the files of a sample and run every check; its problems, and its pixels by value."""
    problems: list[str] = []
    counts = np.zeros(256, np.int64)
    image = attempt(problems, read_image, sample.image, rules.loader)
    mask = attempt(problems, rules.read, sample.mask) if sample.mask else None
    if mask is not None:
        attempt(problems, check_values, sample.mask, mask, rules.accepted)
        if image is not None:
            attempt(problems, check_size, sample, image.shape[:2], mask.shape)
        # Other values are a problem.
        values = mask if mask.dtype == np.uint8 else mask[(mask >= 0) & (mask < 256)]
        counts += label_counts(values, 256)
    return problems, counts


def verify_samples(
    samples: Sequence[SampleFiles], rules: MaskRules, name: str = 'Checking'
) -> Findings:
    """:func:`verify_sample` for many samples, in threads, with a named progress bar."""
    broken, problems, counts = 0, [], np.zeros(256, np.int64)
    unmarked, void_beside_classes = [], False
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        verdicts = pool.map(partial(verify_sample, rules=rules), samples)
        tracked = track(verdicts, name, len(samples))
        for sample, (found, pixels) in zip(samples, tracked, strict=True):
            broken += bool(found)
            problems += found
            np.add.at(counts, rules.labels, pixels)
            if pixels[VOID] and rules.labels[VOID] == rules.ignore_index:
                if pixels[1:VOID].any():
                    void_beside_classes = True
                else:
                    unmarked.append(str(sample.mask))
    finally:
        pool.shutdown(cancel_futures=True)  # otherwise an interrupt would wait for all the others
    return Findings(len(samples), broken, problems, counts, unmarked, void_beside_classes)


def summary(name: str, found: Findings, rules: MaskRules, absent: Sequence[str] = ()) -> str:
    """One line: how many images there are, how many have problems, void, and absent classes."""
    void = found.counts[np.arange(256) == rules.ignore_index].sum() / max(1, found.counts.sum())
    line = f'{name}: {found.images:,} images, {found.broken:,} with problems, {void:.2%} void'
    more = f' and {len(absent) - 5} more classes' if len(absent) > 5 else ''
    return f'{line}, no pixel of {", ".join(absent[:5])}{more}' if absent else line


def verdict(images: Mapping[str, int], classes: int) -> str:
    """What was checked and found without a problem: images of each loader, classes."""
    read = ' and '.join(f'{number:,} images of {loader}' for loader, number in images.items())
    return f'No problem found: the model, {classes} classes, {read}'


def report(problems: Sequence[str]) -> None:
    """Print problems; if there are any, raise ValueError."""
    for problem in problems:
        print(problem)
    if problems:
        found = f'{len(problems):,} problems were' if len(problems) > 1 else '1 problem was'
        raise ValueError(f'{found} found, listed above; fix what is named there (exit code 1)')


class CheckedPipeline(Compose):
    """The pipeline of a data set, with a check of each sample as it is loaded.

    MMSegmentation's own pipeline does not report which file it could not read, nor that a mask and
    its image differ in size (a crop that fits into both would train on the wrong pixels).
    ``img_name`` in the metainfo of packed samples is the path of the image below a folder.
    """

    def __init__(self, dataset: BaseSegDataset, folder: str = '') -> None:
        self.transforms = dataset.pipeline.transforms
        self.rules = MaskRules.of(dataset)
        self.accepted = MaskRules(self.rules.num_classes, self.rules.ignore_index).accepted
        self.folder = folder or common_folder([dataset])

    def __call__(self, data: dict) -> dict | None:
        """Load and transform a sample; whatever fails is a ValueError that names the file."""
        sample = sample_of(data)
        try:
            return self._run(data, sample)
        except Exception as error:
            problems, _ = verify_sample(sample, self.rules)
            reason = '; '.join(problems) or f'image {sample.image} cannot be used: {error}'
            # On one line, since only the last line of an error in a loader's worker is shown.
            raise ValueError(' '.join(reason.split())) from error

    def _run(self, data: dict, sample: SampleFiles) -> dict | None:
        unchecked = True
        for transform in self.transforms:
            data = transform(data)
            if data is None:
                return None
            if unchecked and sample.mask and 'gt_seg_map' in data:
                check_size(sample, data['ori_shape'], data['gt_seg_map'].shape)
                check_values(sample.mask, data['gt_seg_map'], self.accepted)  # as loaded
                unchecked = False
        packed = data.get('data_samples', [])  # one; under test-time augmentation one of each view
        path = Path(os.path.abspath(sample.image))
        below = path.is_relative_to(self.folder)
        name = str(path.relative_to(self.folder)) if below else path.name
        for view in packed if isinstance(packed, list) else [packed]:
            view.set_metainfo(dict(img_name=name))
        return data
