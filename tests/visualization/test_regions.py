"""The chart of hard regions."""

import numpy as np
import pytest

from mmseg_pacbal.metrics.hard_regions import HARD_REGIONS
from mmseg_pacbal.visualization import region_chart
from tests.metrics.test_hard_regions import make_totals


def test_chart_shows_every_score():
    figure = region_chart(make_totals())
    for panel, expected in zip(figure.axes, ([65.71, 81.20], [79.17, 89.58]), strict=True):
        heights = [[bar.get_height() for bar in bars] for bars in panel.containers]
        assert [h[0] for h in heights] == pytest.approx(expected, abs=0.01)
        assert all(len(h) == len(HARD_REGIONS) for h in heights)
        assert all(np.isnan(h[4]) for h in heights)
    labels = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert labels[1] == 'near boundaries\n40.0 % of pixels'
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['base', 'ours']
