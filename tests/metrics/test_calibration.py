"""Calibration: counts by hand and against a naive definition, scores and tables."""

import csv
import io

import numpy as np
import pytest
import torch

from mmseg_pacbal.metrics.calibration import (
    CALIBRATION_REGIONS,
    calibration_counts,
    calibration_csv,
    calibration_table,
    confidence,
    expected_calibration_error,
    overconfidence,
)

VOID = 3  # as class_maps writes it for three classes


@pytest.fixture
def case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, (6, 8)).repeat(7, 0).repeat(7, 1).astype(np.uint8)
    prediction = np.where(generator.random(truth.shape) < 0.7, truth, 0).astype(np.uint8)
    truth[:, :9] = prediction[:, :9] = VOID
    return generator.random(truth.shape), prediction, truth


def naive(values, prediction, truth, near: np.ndarray | None, bins: int) -> np.ndarray:
    counts = np.zeros((3, bins))
    for place in np.ndindex(truth.shape):
        if truth[place] != VOID and (near is None or near[place]):
            m = next(m for m in range(bins) if values[place] <= (m + 1) / bins)
            counts[:, m] += 1, prediction[place] == truth[place], values[place]
    return counts


def test_counts_are_those_of_the_definition(case):
    values, prediction, truth = case
    near = np.zeros(truth.shape, bool)
    for y, x in np.ndindex(truth.shape):
        window = truth[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        near[y, x] = (window != truth[y, x]).any()
    found = calibration_counts(values, prediction, truth, 3, bins=5, width=2)
    expected = [naive(*case, region, 5) for region in (None, near, ~near)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.shape == (len(CALIBRATION_REGIONS), 3, 5)
    assert found[1, 0].sum() > 0
    assert found[2, 0].sum() > 0
    values = np.array([[1 / 15, 1 / 15 + 1e-9, 14 / 15, 1.0]])  # at the ends of bins
    label = np.zeros((1, 4), np.uint8)
    assert calibration_counts(values, label, label, 2)[0, 0].tolist() == [1, 1, *[0] * 11, 1, 1]


def test_confidence_is_the_greatest_probability():
    logits = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0)) * 100
    expected = logits.double().softmax(0).amax(0)
    np.testing.assert_allclose(confidence(logits.numpy()), expected.numpy(), rtol=1e-12)
    one = logits[:1]
    p = one.double().sigmoid()[0]
    np.testing.assert_allclose(confidence(one.numpy()), torch.maximum(p, 1 - p), rtol=1e-12)


def test_confidence_of_infinite_logits_is_the_limit():
    infinite = float('inf')
    logits = torch.tensor(
        [[infinite, 1, 2], [infinite, infinite, 0], [-infinite, 0, 1], [-infinite] * 3]
    )
    expected = [[1, 1 / 2, 1 / (1 + np.exp(-1)), 1 / 3]]
    np.testing.assert_allclose(confidence(logits.T[:, None].numpy()), expected, rtol=1e-12)
    assert confidence(np.array([[[infinite, -infinite]]])).tolist() == [[1, 1]]
    assert np.isnan(confidence(np.array([[[np.nan]], [[0.0]]]))).all()


def test_confidence_of_a_large_image_is_taken_in_strips(monkeypatch):
    logits = np.random.default_rng(0).normal(size=(5, 7, 6)).astype(np.float32)
    expected = confidence(logits)
    for strip in (2 * 5 * 6, 1):
        monkeypatch.setattr('mmseg_pacbal.metrics.calibration.STRIP', strip)
        assert np.array_equal(confidence(logits), expected)


def test_nan_is_named_unless_it_is_in_void(case):
    values, *_ = case
    expected = calibration_counts(*case, 3)
    values[0, 0] = np.nan  # void
    assert np.array_equal(calibration_counts(*case, 3), expected)
    values[3, 9:12] = np.nan
    with pytest.raises(ValueError, match=r'the scores of 3 pixels are NaN, .* test an earlier'):
        calibration_counts(*case, 3)


def test_scores_by_hand():
    # 4 pixels at 0.9, 3 right; 6 at 0.5, 6 right.
    counts = np.array([[6.0, 4.0], [6.0, 3.0], [3.0, 3.6]])
    assert expected_calibration_error(counts) == pytest.approx((6 * 0.5 + 4 * 0.15) / 10)
    assert overconfidence(counts) == pytest.approx(0.66 - 0.9)
    both = np.stack([counts, 0 * counts])
    assert np.isnan(expected_calibration_error(both)[1])
    assert overconfidence(both)[0] == pytest.approx(-0.24)


def test_a_calibrated_model_has_no_error():
    generator = np.random.default_rng(0)
    values = generator.uniform(0.3, 1, (400, 400))
    truth = np.zeros(values.shape, np.uint8)
    prediction = (generator.random(values.shape) > values).astype(np.uint8)  # wrong that often
    right, wrong = (calibration_counts(v, prediction, truth, 2) for v in (values, values**0.5))
    assert expected_calibration_error(right)[0] < 0.01  # 160,000 pixels
    assert expected_calibration_error(wrong)[0] > 0.1


def test_table_and_csv():
    counts = np.array([[6.0, 4.0], [6.0, 3.0], [3.0, 3.6]])
    totals = dict(ours=np.stack([counts, counts, 0 * counts]))
    table = calibration_table(totals).splitlines()
    assert table[0].startswith('| model | region | accuracy')
    assert table[2] == '| ours | all | 0.9000 | 0.6600 | 0.3600 | -0.2400 |'
    assert table[4] == '| ours | interior | nan | nan | nan | +nan |'
    lines = list(csv.DictReader(io.StringIO(calibration_csv(totals))))
    assert len(lines) == 3 * 2
    assert list(lines[1].values()) == ['ours', 'all', '1.0000', '4', '0.7500', '0.9000']
    assert list(lines[5].values()) == ['ours', 'interior', '1.0000', '0', '', '']
