import numpy as np

from mmseg_pacbal.metrics.calibration import CALIBRATION_REGIONS
from mmseg_pacbal.visualization import reliability_plot


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
