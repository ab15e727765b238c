"""The letter of the boundary measures, one class at a time: what the fast form is compared with.

Tests and the benchmark share it. Nothing here is used by the package.
"""

import numpy as np
from scipy import ndimage

SQUARE = np.ones((3, 3), bool)


def boundary_iou_reference(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, ratio: float, ignore_index: int
) -> np.ndarray:
    """Intersection, predicted and true pixels of inner bands, (3, C); 3x3 erosion d times."""
    d = max(1, round(ratio * np.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2)))

    def band(mask: np.ndarray) -> np.ndarray:
        return mask & ~ndimage.binary_erosion(mask, SQUARE, iterations=d, border_value=0)

    inside = truth != ignore_index
    pairs = [(band((prediction == c) & inside), band(truth == c)) for c in range(num_classes)]
    return overlaps(pairs)


def overlaps(pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Of the predicted and the true mask of each class, (3, C)."""
    return np.array([[(p & t).sum(), p.sum(), t.sum()] for p, t in pairs]).T


def trimap_reference(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, width: int, ignore_index: int
) -> np.ndarray:
    """The same three rows within a band, which comes from chessboard distances."""
    distance = np.full(truth.shape, np.inf)  # to the nearest pixel of another label
    for value in np.unique(truth):
        own = truth == value
        if not own.all():
            distance[own] = ndimage.distance_transform_cdt(own, 'chessboard')[own]
    band = (distance <= width) & (truth != ignore_index)
    return overlaps([(band & (prediction == c), band & (truth == c)) for c in range(num_classes)])


def contour_reference(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, share: float, ignore_index: int
) -> np.ndarray:
    """Contour pixels and matched ones of the prediction, then of the truth, (4, C)."""
    tolerance = share * np.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2)

    def matched(contour: np.ndarray, other: np.ndarray) -> int:
        if not other.any():
            return 0
        return (ndimage.distance_transform_edt(~other)[contour] <= tolerance).sum()

    counts = []
    for c in range(num_classes):
        predicted, true = (
            mask & ~ndimage.binary_erosion(mask, SQUARE, border_value=1)
            for mask in ((prediction == c) & (truth != ignore_index), truth == c)
        )
        found = (matched(predicted, true), matched(true, predicted))
        counts.append([predicted.sum(), found[0], true.sum(), found[1]])
    return np.array(counts).T


def f1_reference(counts: np.ndarray) -> list[float]:
    """F1 of classes with contours, from the sums of :func:`contour_reference`; else NaN."""
    scores = []
    for predicted, hits, true, found in counts.T:
        precision = hits / predicted if predicted else 0.0
        recall = found / true if true else 0.0
        both = precision + recall
        score = 2 * precision * recall / both if both else 0.0
        scores.append(score if predicted + true else np.nan)
    return scores
