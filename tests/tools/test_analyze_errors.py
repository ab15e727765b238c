"""The tool as users run it: one model, two side by side, and one sentence for a mistake."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_pacbal.apps.analyze_errors import model_names
from tests.running import DEMO, call_tool, mistake, small

TOOL = 'analyze_errors'


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory) -> list[Path]:
    """Two untrained models of the demo: one that knows class 1 only, one with random weights."""
    from mmengine.config import Config
    from mmseg.registry import MODELS

    folder = tmp_path_factory.mktemp('checkpoints')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(DEMO).model)
    torch.save(model.state_dict(), folder / 'random.pth')
    with torch.no_grad():
        model.decode_head.conv_seg.weight.zero_()
        model.decode_head.conv_seg.bias.copy_(torch.eye(7)[1])
    torch.save(model.state_dict(), folder / 'ones.pth')
    return [folder / 'ones.pth', folder / 'random.pth']


@pytest.mark.slow
def test_two_models(data, checkpoints, tmp_path, capsys):
    first, second = checkpoints
    options = ['--cfg-options', f'data_root={data}', 'test_dataloader.dataset.indices=3']
    args = [DEMO, first, '--compare', DEMO, second, '--work-dir', tmp_path / 'work']
    call_tool(TOOL, *args, '--out', tmp_path / 'out', *options)
    printed = capsys.readouterr().out
    table = (tmp_path / 'out' / 'regions.md').read_text()
    assert table in printed
    assert 'mIoU pac_bal_demo ones | mIoU pac_bal_demo random | mIoU difference' in table

    lines = list(csv.DictReader((tmp_path / 'out' / 'regions.csv').open()))
    names = (data / 'ImageSets' / 'Segmentation' / 'val.txt').read_text().split()[:3]
    labels = [np.array(Image.open(data / 'SegmentationClass' / f'{n}.png')) for n in names]
    count = [sum((label == c).sum() for label in labels) for c in range(7)]
    whole = [
        line for line in lines if (line['model'], line['region']) == ('pac_bal_demo ones', 'all')
    ]
    assert [int(line['pixels']) for line in whole[:7]] == count
    assert [int(line['right']) for line in whole[:7]] == [0, count[1], 0, 0, 0, 0, 0]
    assert float(whole[1]['IoU']) == pytest.approx(100 * count[1] / sum(count), abs=0.005)

    assert np.array(Image.open(tmp_path / 'out' / 'regions.png')).shape[:2] == (900, 1200)

    table = (tmp_path / 'out' / 'calibration.md').read_text()
    assert table in printed
    assert '| pac_bal_demo random | interior |' in table
    # Logits of 1 for class 1 and 0 for the six others, everywhere: one bin.
    bins = list(csv.DictReader((tmp_path / 'out' / 'calibration.csv').open()))
    (filled,) = [
        line
        for line in bins
        if (line['model'], line['region']) == ('pac_bal_demo ones', 'all') and int(line['pixels'])
    ]
    assert int(filled['pixels']) == sum(count)
    assert float(filled['accuracy']) == pytest.approx(count[1] / sum(count), abs=5e-5)
    assert float(filled['confidence']) == pytest.approx(np.e / (np.e + 6), abs=5e-5)
    assert np.array(Image.open(tmp_path / 'out' / 'calibration.png')).ndim == 3


@pytest.mark.slow
def test_two_data_sets_cannot_be_compared(data, checkpoints, tmp_path, capsys):
    other, checkpoint = tmp_path / 'other.py', checkpoints[0]
    other.write_text(f"_base_ = '{DEMO}'\ntest_dataloader = dict(dataset=dict(indices=2))\n")
    args = [DEMO, checkpoint, '--compare', other, checkpoint, '--work-dir', tmp_path / 'work']
    sentence = mistake(capsys, TOOL, *args, '--out', tmp_path / 'out', *small(data))
    assert 'test on different labels, so their figures cannot be compared' in sentence
    assert not (tmp_path / 'out').exists()


def test_names_tell_models_apart():
    assert model_names([('c/a.py', 'x.pth')]) == ['a']
    assert model_names([('c/a.py', 'x.pth'), ('c/b.py', 'x.pth')]) == ['a', 'b']
    assert model_names([('a.py', 'w/x.pth'), ('a.py', 'w/y.pth')]) == ['a x', 'a y']
    assert model_names([('a.py', 'w/x.pth'), ('a.py', 'v/x.pth')]) == [
        'a.py w/x.pth',
        'a.py v/x.pth',
    ]
