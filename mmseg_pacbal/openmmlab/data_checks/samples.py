"""Every check of :mod:`.files` on every sample, in threads, with a progress bar."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from mmseg.datasets import BaseSegDataset
from rich.progress import track

from .files import (
    Sample,
    accepted_values,
    check_size,
    check_values,
    labels_of_values,
    read_image,
    read_mask,
)


class Verdict(NamedTuple):
    """What was found in a sample.

    Attributes:
        problems: One sentence each.
        pixels: Number of pixels of the mask.
        void: How many of them are void.
        values: The values 0..255 that occur in the mask; others are a problem.
    """

    problems: tuple[str, ...] = ()
    pixels: int = 0
    void: int = 0
    values: frozenset[int] = frozenset()


def accepted_in_files(dataset: BaseSegDataset) -> np.ndarray:
    """:func:`accepted_values` of a data set's masks."""
    return accepted_values(
        len(dataset.metainfo['classes']),
        dataset.ignore_index,
        dataset.reduce_zero_label,
        dataset.label_map,
    )


def sample_of(data_info: dict) -> Sample:
    """The files that ``BaseSegDataset.get_data_info`` names."""
    return Sample(data_info['img_path'], data_info.get('seg_map_path'))


def mask_reader(dataset: BaseSegDataset) -> Callable[[str], np.ndarray]:
    """The function that reads a data set's masks: its own, or one that reads as LoadAnnotations."""
    return getattr(dataset, 'read_mask', read_mask)


def verify_sample(
    sample: Sample,
    accepted: np.ndarray,
    ignore_index: int = 255,
    read: Callable[[str], np.ndarray] = read_mask,
) -> Verdict:
    """Read the files of a sample and run every check on them.

    Args:
        sample: The files.
        accepted: bool (256,), whether the mask may hold a value.
        ignore_index: The value of void.
        read: Reads the values of the mask at a path; see :func:`mask_reader`.
    """
    problems = []

    def attempt(check: Callable, *args: object) -> np.ndarray | None:
        try:
            return check(*args)
        except (FileNotFoundError, ValueError) as error:
            problems.append(str(error))
            return None

    image = attempt(read_image, sample.image)
    mask = attempt(read, sample.mask) if sample.mask else None
    if mask is None:
        return Verdict(tuple(problems))
    attempt(check_values, sample.mask, mask, accepted)
    if image is not None:
        attempt(check_size, sample, image.shape[:2], mask.shape)
    void = int(np.count_nonzero(mask == ignore_index))
    return Verdict(tuple(problems), mask.size, void, _values(mask))


def _values(mask: np.ndarray) -> frozenset[int]:
    """At most 256 of them are kept for each sample, even if a mask holds a photo."""
    if mask.dtype != np.uint8:
        mask = mask[(mask >= 0) & (mask < 256)].astype(np.uint8)
    return frozenset(np.flatnonzero(np.bincount(mask.ravel())).tolist())


def verify_samples(
    samples: Sequence[Sample],
    accepted: np.ndarray,
    ignore_index: int = 255,
    name: str = 'Checking',
    read: Callable[[str], np.ndarray] = read_mask,
) -> list[Verdict]:
    """:func:`verify_sample` for many samples, in threads, with a named progress bar."""
    verify = partial(verify_sample, accepted=accepted, ignore_index=ignore_index, read=read)
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        return list(track(pool.map(verify, samples), name, total=len(samples)))
    finally:
        pool.shutdown(cancel_futures=True)  # otherwise an interrupt would wait for all the others


def absent_classes(dataset: BaseSegDataset, verdicts: Sequence[Verdict]) -> list[str]:
    """Names of the classes that no mask of a data set holds."""
    labels = labels_of_values(dataset.reduce_zero_label, dataset.label_map)
    values = frozenset().union(*(v.values for v in verdicts))
    present = {int(labels[value]) for value in values}
    return [name for i, name in enumerate(dataset.metainfo['classes']) if i not in present]


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
