"""The charts show every score."""

import numpy as np
import pytest

from mmseg_pacbal.metrics.calibration import CALIBRATION_REGIONS
from mmseg_pacbal.metrics.hard_regions import HARD_REGIONS
from mmseg_pacbal.visualization import region_chart, reliability_plot
from tests.metrics.test_hard_regions import make_totals


def test_a_line_for_each_model_through_its_bins():
    counts = np.array([[6.0, 4.0], [6.0, 3.0], [3.0, 3.6]])
    totals = dict(ours=np.stack([counts, counts, 0 * counts]), theirs=np.stack([counts / 2] * 3))
    figure = reliability_plot(totals)
    assert [panel.get_title() for panel in figure.axes] == list(CALIBRATION_REGIONS)
    diagonal, ours, theirs = figure.axes[0].lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert ours.get_xydata().tolist() == [[0.5, 1.0], [0.9, 0.75]]
    assert theirs.get_label() == 'theirs'
    assert len(figure.axes[2].lines[1].get_xydata()) == 0  # no pixels


def test_chart_shows_every_score():
    figure = region_chart(make_totals())
    for panel, expected in zip(figure.axes, ([65.71, 81.20], [79.17, 89.58]), strict=True):
        heights = [[bar.get_height() for bar in bars] for bars in panel.containers]
        assert [h[0] for h in heights] == pytest.approx(expected, abs=0.01)
        assert all(len(h) == len(HARD_REGIONS) for h in heights)
        assert all(np.isnan(h[4]) for h in heights)
        assert panel.get_ylim()[0] == 0
        assert max(map(np.nanmax, heights)) == pytest.approx(panel.get_ylim()[1] / 1.09)
    labels = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert labels[1] == 'near boundaries\n40.0 % of pixels'
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['base', 'ours']
