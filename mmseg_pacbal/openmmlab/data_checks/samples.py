"""Every check of :mod:`.files` on every sample, in threads, with a progress bar."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from mmseg.datasets import BaseSegDataset
from rich.progress import track

from ...datasets.palette import VOID
from .files import SampleFiles, check_size, check_values, labels_of_values, read_image
from .masks import read_mask


class MaskRules(NamedTuple):
    """What a data set takes the values of its masks for.

    Attributes:
        num_classes: The labels below it are classes.
        ignore_index: The label of void.
        labels: The label of each value, uint8 (256,); see :func:`.files.labels_of_values`.
        read: Reads the values of the mask at a path, integers (H, W).
    """

    num_classes: int
    ignore_index: int = VOID
    labels: np.ndarray = labels_of_values()
    read: Callable[[str], np.ndarray] = read_mask

    @classmethod
    def of(cls, dataset: BaseSegDataset) -> 'MaskRules':
        """Those of a data set, which may have a ``read_mask`` of its own."""
        return cls(
            len(dataset.metainfo['classes']),
            dataset.ignore_index,
            labels_of_values(dataset.reduce_zero_label, dataset.label_map),
            getattr(dataset, 'read_mask', read_mask),
        )

    @property
    def accepted(self) -> np.ndarray:
        """Whether a mask may hold each value, bool (256,)."""
        return (self.labels < self.num_classes) | (self.labels == self.ignore_index)


class Verdict(NamedTuple):
    """What was found in a sample.

    Attributes:
        problems: One sentence each.
        pixels: Number of pixels of the mask.
        void: How many of them are void.
        labels: The labels that occur.
    """

    problems: tuple[str, ...] = ()
    pixels: int = 0
    void: int = 0
    labels: frozenset[int] = frozenset()


def sample_of(data_info: dict) -> SampleFiles:
    """The files that ``BaseSegDataset.get_data_info`` names."""
    return SampleFiles(data_info['img_path'], data_info.get('seg_map_path'))


def verify_sample(sample: SampleFiles, rules: MaskRules) -> Verdict:
    """Read the files of a sample and run every check on them."""
    problems = []

    def attempt(check: Callable, *args: object) -> np.ndarray | None:
        try:
            return check(*args)
        except (FileNotFoundError, ValueError) as error:
            problems.append(str(error))
            return None

    image = attempt(read_image, sample.image)
    mask = attempt(rules.read, sample.mask) if sample.mask else None
    if mask is None:
        return Verdict(tuple(problems))
    attempt(check_values, sample.mask, mask, rules.accepted)
    if image is not None:
        attempt(check_size, sample, image.shape[:2], mask.shape)
    values = mask.ravel()
    if mask.dtype != np.uint8:
        values = values[(values >= 0) & (values < 256)].astype(np.uint8)  # others are a problem
    counts = np.bincount(values, minlength=256)
    void = int(counts[rules.labels == rules.ignore_index].sum())
    return Verdict(tuple(problems), mask.size, void, frozenset(rules.labels[counts > 0].tolist()))


def verify_samples(
    samples: Sequence[SampleFiles], rules: MaskRules, name: str = 'Checking'
) -> list[Verdict]:
    """:func:`verify_sample` for many samples, in threads, with a named progress bar."""
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        verdicts = pool.map(partial(verify_sample, rules=rules), samples)
        return list(track(verdicts, name, total=len(samples)))
    finally:
        pool.shutdown(cancel_futures=True)  # otherwise an interrupt would wait for all the others


def absent_classes(classes: Sequence[str], verdicts: Sequence[Verdict]) -> list[str]:
    """The classes that no mask holds."""
    present = frozenset().union(*(v.labels for v in verdicts))
    return [name for label, name in enumerate(classes) if label not in present]


def summary(name: str, verdicts: Sequence[Verdict], absent: Sequence[str] = ()) -> str:
    """One line: how many images there are, how many have problems, void, and absent classes."""
    pixels = max(1, sum(v.pixels for v in verdicts))
    broken = sum(bool(v.problems) for v in verdicts)
    void = sum(v.void for v in verdicts) / pixels
    line = f'{name}: {len(verdicts):,} images, {broken:,} with problems, {void:.2%} void'
    more = f' and {len(absent) - 5} more classes' if len(absent) > 5 else ''
    return f'{line}, no pixel of {", ".join(absent[:5])}{more}' if absent else line


def report(problems: Sequence[str]) -> None:
    """Print problems.

    Raises:
        ValueError: There is a problem.
    """
    for problem in problems:
        print(problem)
    if problems:
        found = f'{len(problems):,} problems were' if len(problems) > 1 else '1 problem was'
        raise ValueError(f'{found} found in the data, listed above; fix the files named there')
