"""Prediction against truth, pixel by pixel: counts for each class, and scores from them."""

import csv
import io
import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from torch import Tensor

Totals = dict[str, np.ndarray]  # name of a model -> its counts over a data set


def class_maps(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, ignore_index: int | None = 255
) -> tuple[np.ndarray, np.ndarray]:
    """Convert prediction and truth to one form: classes 0..C-1, and C where the truth is void.

    A prediction inside void is neither right nor wrong: it is set to void here, before anything
    is measured, so that no score depends on it. A boundary between a class and void is kept.

    Args:
        prediction: Classes, (H, W), integers or bool.
        truth: Classes or void, (H, W), integers or bool.
        num_classes: C.
        ignore_index: The void label of the truth; None where it has none.

    Returns:
        Prediction and truth, (H, W), uint8 (uint16 for more than 255 classes).

    Raises:
        ValueError: Sizes differ, or a value is neither a class nor (in the truth) void.
    """
    if prediction.shape != truth.shape or truth.ndim != 2:
        raise ValueError(
            f'prediction and label must have the same size (H, W), but got {prediction.shape} and '
            f'{truth.shape}; evaluate at the size of the label'
        )
    void = np.zeros(truth.shape, bool) if ignore_index is None else truth == ignore_index
    also = '' if ignore_index is None else f' and ignore_index={ignore_index}'
    dtype = np.uint8 if num_classes < 256 else np.uint16
    maps = []
    for name, values, and_void in (('label', truth, also), ('prediction', prediction, '')):
        classes = np.where(void, 0, values)
        _check_range(name, classes, num_classes, and_void)
        maps.append(np.where(void, dtype(num_classes), classes.astype(dtype)))
    truth, prediction = maps
    return prediction, truth


def overlap_counts(prediction: np.ndarray, truth: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels of each class: (3, C) int64 with rows intersection, predicted, true."""
    both = truth[prediction == truth]
    return np.stack([label_counts(m, num_classes) for m in (both, prediction, truth)])


def label_counts(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels of each class: (C,) int64; void is not counted."""
    flat = labels.ravel()
    if flat.dtype not in (np.uint8, np.uint16):
        return np.bincount(flat, minlength=num_classes)[:num_classes]
    total = np.zeros(num_classes, np.int64)
    # OpenCV, whose histograms are quicker, gives them as float32: exact up to 2^24.
    for start in range(0, flat.size, 2**24):
        part = flat[None, start : start + 2**24]
        counted = cv2.calcHist([part], [0], None, [num_classes], [0, num_classes])
        total += counted.ravel().astype(np.int64)
    return total


def iou(counts: np.ndarray) -> np.ndarray:
    """Intersection over union: (..., 3, C) -> (..., C), NaN for classes in neither map."""
    intersection, predicted, true = np.moveaxis(counts, -2, 0)
    return ratio_or_nan(intersection, predicted + true - intersection)


def accuracy(counts: np.ndarray) -> np.ndarray:
    """Share of the true pixels that are right: (..., 3, C) -> (..., C), NaN for absent classes."""
    intersection, _, true = np.moveaxis(counts, -2, 0)
    return ratio_or_nan(intersection, true)


def class_mean(score: np.ndarray) -> float:
    """Mean over the classes that occur; NaN if none does."""
    occurring = score[~np.isnan(score)]
    return float(occurring.mean()) if occurring.size else math.nan


def mean_percent(score: np.ndarray) -> float:
    """Mean over the classes that occur, in %; NaN if none does."""
    return 100 * class_mean(score)


def mean_outside_void(maps: Iterable[tuple[Tensor, Tensor]], ignore_index: int = 255) -> float:
    """Mean of values, such as E_G, where their labels are not void; NaN if they are nowhere."""
    total, count = 0.0, 0
    for values, label in maps:
        valid = label != ignore_index
        total += values[valid].double().sum().item()
        count += int(valid.sum())
    return total / count if count else math.nan


def to_csv(head: Sequence[str], rows: Iterable[Sequence]) -> str:
    """CSV with a line for the head and for each row; scores that are NaN are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(head)
    writer.writerows(['' if cell in ('nan', '+nan') else cell for cell in row] for row in rows)
    return text.getvalue()


def ratio_or_nan(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Their ratio, NaN where the denominator is 0."""
    nan = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=nan, where=denominator > 0)


def reject_nan(nan: np.ndarray) -> None:
    """Raise ValueError if the scores of any pixel are NaN, (...) bool: no class is the greatest."""
    if nan.any():
        raise ValueError(
            f'the scores of {np.count_nonzero(nan)} pixels are NaN, so that they have no class; '
            'a model gives NaN if its weights are NaN or infinite, as after a loss that was '
            'not finite: test an earlier checkpoint, or without mixed precision'
        )


def _check_range(name: str, values: np.ndarray, num_classes: int, also: str) -> None:
    if values.size and (values.min() < 0 or values.max() >= num_classes):
        wrong = values[(values < 0) | (values >= num_classes)]
        raise ValueError(
            f'{name} holds {wrong[0]}, but accepted are classes 0..{num_classes - 1}{also}; '
            'check the masks of the data set and num_classes of the model'
        )
