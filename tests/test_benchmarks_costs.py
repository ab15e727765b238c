"""Cost curves and deployment: what their benchmarks check, count and draw."""

import numpy as np
import pytest
import torch

from benchmarks import cost_curves, cost_curves_tables, deployment


@pytest.fixture
def curves() -> dict:
    """Two curves by hand, ours at 1 and 2, the peer at 2."""

    def row(axis, at, form, seconds):
        subject = 'PAC, forward' if axis == 'rates' else 'map'
        times = dict(p20=seconds, p50=seconds, p80=seconds, memory=1e6 * seconds)
        return dict(subject=subject, axis=axis, at=at, form=form, **times)

    rows = [
        row(axis, *point)
        for axis in ('rates', 'side')
        for point in ((1, 'ours', 0.5), (2, 'ours', 1.0), (2, 'peer', 20.0))
    ]
    place = dict(machine='A CPU', torch='2', commit='c', date='d')
    return dict(environment=place, results=rows)


def test_cost_curves_by_hand(curves):
    first, second = cost_curves_tables.table(curves).splitlines()[2:4]
    assert first == (
        '| PAC, forward | rates | 1 to 2 | 500 ms to 1e+03 ms | 0.5 MB to 1 MB | 2 | '
        '1e+03 ms and 20.0 s | 1 MB and 20 MB |'
    )
    assert second.startswith('| map | pixels a side | 1 to 2 |')
    assert cost_curves_tables.rates_table(curves).endswith('| PAC, forward | 0.50 | 1.00 |')


def test_picture_of_cost_curves_shows_every_row(curves):
    figure = cost_curves_tables.picture(curves)
    shown = [ax for ax in figure.axes if ax.has_data()]
    titles = ['PAC, forward: ms', 'PAC, forward: MB', 'map: ms', 'map: MB']
    assert sorted(ax.get_title() for ax in shown) == sorted(titles)
    for ax in shown:
        ours, peer = ax.get_lines()
        scale = 1e3 if ax.get_title().endswith('ms') else 1
        assert [*zip(*ours.get_data(), strict=True)] == [(1, 0.5 * scale), (2, scale)]
        assert [*zip(*peer.get_data(), strict=True)] == [(2, 20 * scale)]
        assert ax.get_visible()


def test_picture_of_rates_shows_the_training_pass(curves):
    for row in curves['results']:
        if row['axis'] == 'rates':
            row['subject'] = 'PAC, forward+backward'
    time, memory = cost_curves_tables.rates_picture(curves).axes
    assert [*time.get_lines()[0].get_ydata()] == [500, 1000]
    assert [*time.get_lines()[1].get_ydata()] == [20_000]
    assert [*memory.get_lines()[0].get_ydata()] == [0.5, 1]
    assert time.get_xlabel() == memory.get_xlabel() == 'atrous rates'


def test_arrays_held_at_once_are_counted():
    held = cost_curves.peak_arrays(lambda: (np.ones(10**6), np.ones(10**6)))
    assert 16e6 <= held < 16.1e6


def test_cost_curves_refuse_a_peer_that_differs():
    ones = torch.ones(3)
    cost_curves.check('same', (ones, ones), (ones, ones))
    with pytest.raises(ValueError, match=r'map: ours and its peer differ by 1.0e-04'):
        cost_curves.check('map', ones * 1.0001, ones)


def test_score_of_a_deployed_model_by_hand():
    label = np.array([[0, 0], [1, 255]])
    logits = np.array([[[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]]], np.float32)
    images = [np.zeros((1, 3, 2, 2), np.float32)] * 2
    # Class 0: 1 right of 2 true; class 1: 1 right, 2 predicted, 1 true. Void counts nowhere.
    assert deployment.score(lambda _: logits, images, [label] * 2) == pytest.approx(0.5)
