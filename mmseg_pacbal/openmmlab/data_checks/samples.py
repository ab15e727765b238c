"""Every check of :mod:`.files` on every sample, in threads, with a progress bar."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from mmseg.datasets import BaseSegDataset
from rich.progress import track

from .files import Sample, accepted_values, check_size, check_values, read_image, read_mask


class Verdict(NamedTuple):
    """Problems of a sample, one sentence each, and how many pixels of its mask are void."""

    problems: tuple[str, ...] = ()
    pixels: int = 0
    void: int = 0


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


def verify_sample(sample: Sample, accepted: np.ndarray, ignore_index: int = 255) -> Verdict:
    """Read the files of a sample and run every check on them.

    Args:
        sample: The files.
        accepted: bool (256,), whether the mask may hold a value.
        ignore_index: The value of void.
    """
    problems = []

    def attempt(check: Callable, *args: object) -> np.ndarray | None:
        try:
            return check(*args)
        except (FileNotFoundError, ValueError) as error:
            problems.append(str(error))
            return None

    image = attempt(read_image, sample.image)
    mask = attempt(read_mask, sample.mask) if sample.mask else None
    if mask is None:
        return Verdict(tuple(problems))
    attempt(check_values, sample.mask, mask, accepted)
    if image is not None:
        attempt(check_size, sample, image.shape[:2], mask.shape)
    return Verdict(tuple(problems), mask.size, int(np.count_nonzero(mask == ignore_index)))


def verify_samples(
    samples: Sequence[Sample], accepted: np.ndarray, ignore_index: int = 255, name: str = 'Checking'
) -> list[Verdict]:
    """:func:`verify_sample` for many samples, in threads, with a named progress bar."""
    verify = partial(verify_sample, accepted=accepted, ignore_index=ignore_index)
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        return list(track(pool.map(verify, samples), name, total=len(samples)))
    finally:
        pool.shutdown(cancel_futures=True)  # else an interrupt would wait for all that is left


def summary(name: str, verdicts: Sequence[Verdict]) -> str:
    """One line: how many images there are, how many have problems, and the share of void."""
    pixels = max(1, sum(v.pixels for v in verdicts))
    broken = sum(bool(v.problems) for v in verdicts)
    void = sum(v.void for v in verdicts) / pixels
    return f'{name}: {len(verdicts):,} images, {broken:,} with problems, {void:.2%} void'


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
