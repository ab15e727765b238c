"""The curves show what a run has logged, also before it was resumed, and cost no training."""

import json
from pathlib import Path

import pytest
from PIL import Image

from mmseg_pacbal.openmmlab.engine.hooks import curves_hook
from tests.openmmlab.engine.tiny_run import checkpoint, train

CURVES = dict(default_hooks=dict(curves=dict(type='CurvesHook')))


def write_log(work_dir: Path, start: str, *records: dict) -> None:
    path = work_dir / start / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(record) + '\n' for record in records) + '{"loss": 0.')


def test_a_resumed_run_replaces_what_it_repeats(tmp_path):
    first = [dict(loss=5 - n, step=10 * n) for n in (1, 2, 3)]
    write_log(tmp_path, '1', *first, dict(mIoU=20.0, mBF1=9.0, step=30), dict(loss=9.0, step=40))
    write_log(tmp_path, '2', dict(loss=2.5, step=30), dict(mIoU=21.0, mBF1=8.0, step=30))
    curves, by_epoch = curves_hook.read_curves(tmp_path)
    expected = dict(loss={10: 4, 20: 3, 30: 2.5}, mIoU={30: 21.0}, mBF1={30: 8.0})
    assert (curves, by_epoch) == (expected, False)


def test_scores_by_epoch(tmp_path):
    write_log(tmp_path, '1', dict(loss=1.0, epoch=1, step=50), dict(mIoU=20.0, step=1))
    assert curves_hook.read_curves(tmp_path) == (dict(loss={50: 1.0}, mIoU={1: 20.0}), True)


def test_nothing_logged_is_nothing_drawn(tmp_path):
    curves_hook.draw_curves(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_picture_after_each_validation_and_at_the_end(tmp_path, monkeypatch):
    drawn = []
    plot = curves_hook.training_curves
    monkeypatch.setattr(
        curves_hook, 'training_curves', lambda *a: drawn.append([*a[0]]) or plot(*a)
    )
    runner = train(tmp_path, max_iters=5, **CURVES)
    assert drawn == [[1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]
    Image.open(tmp_path / 'curves.png').verify()
    assert not list(tmp_path.glob('*.partial'))

    runner.val()
    assert len(drawn) == 4
    train(tmp_path, checkpoint(runner, 4), max_iters=6, **CURVES)
    assert drawn[-1] == [1, 2, 3, 4, 5, 6]


def test_no_picture_is_worth_a_training(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError('disk full')

    monkeypatch.setattr(curves_hook, 'training_curves', fail)
    assert train(tmp_path, max_iters=4, log_level='WARNING', **CURVES).iter == 4
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert "curves.png was not drawn, and training goes on: OSError('disk full')" in log


@pytest.mark.parametrize('scores', [{}, dict(mIoU={2: 30.0, 4: 40.0})])
def test_curves(scores):
    figure = curves_hook.training_curves({1: 2.0, 3: 1.0}, scores)
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[1, 2.0], [3, 1.0]]
    lines = {line.get_label(): line for panel in figure.axes[1:] for line in panel.lines}
    shown = {name: dict(line.get_xydata().tolist()) for name, line in lines.items()}
    assert shown == scores
