"""The tool as users run it: pictures of training samples, and one sentence for a mistake."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from mmengine.config import Config
from PIL import Image

from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.datasets import generate_synthetic_voc
from mmseg_pacbal.visualization.weights import WeightSample, weight_figure

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / 'configs' / 'pac_bal_demo.py'
TOOL = ROOT / 'tools' / 'browse_weights.py'


def browse(*args: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(TOOL), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    # The demo's own data, since the config asks for exactly that.
    return generate_synthetic_voc(tmp_path_factory.mktemp('data') / 'VOC2012')


@pytest.mark.slow
def test_pictures_with_mean_and_range(data, tmp_path):
    out = tmp_path / 'pictures'
    options = ['--cfg-options', f'data_root={data}']
    result = browse(DEMO, '--num', 2, '--out', out, *options)
    assert result.returncode == 0, result.stderr
    pictures = sorted(out.iterdir())
    assert len(pictures) == 2
    for picture in pictures:
        assert f'{picture}: E_G mean ' in result.stdout
        pixels = np.array(Image.open(picture).convert('RGB'))
        assert pixels.shape[1] > 1000
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 1000
    # The same crops again.
    again = browse(DEMO, '--num', 2, '--out', out, *options)
    assert again.stdout == result.stdout


@pytest.mark.parametrize(
    ('args', 'expected'),
    [
        ((DEMO, '--num', 0), '--num must be 1 or more, but got 0'),
        (('none.py',), 'config none.py does not exist'),
        ((ROOT / 'configs/pac_bal_voc.py', '--cfg-options', 'data_root=nowhere'), 'nowhere'),
    ],
)
def test_mistake_is_one_sentence(args, expected, tmp_path):
    result = browse(*args, '--out', tmp_path)
    assert result.returncode == 1
    assert expected in result.stderr.splitlines()[0]
    assert 'Traceback' not in result.stderr


def test_sample_is_what_the_pipeline_gives():
    import torch
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    tool = runpy.run_path(str(TOOL))
    cfg = Config.fromfile(DEMO)
    image = torch.arange(3 * 4 * 6, dtype=torch.uint8).reshape(3, 4, 6)  # BGR
    label = torch.zeros(1, 4, 6, dtype=torch.uint8)
    label[..., 3:] = 1
    sample = SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=dict(img_path='a/b.jpg'))
    loss = BoundaryAwareLoss(kernel_size=1, downsample=1, beta=0.25)
    made = tool['weight_sample'](dict(inputs=image, data_samples=sample), loss, cfg)
    assert made.name == 'b'
    assert np.array_equal(made.image, image.permute(1, 2, 0).numpy()[..., ::-1])
    assert made.label.tolist() == [[0, 0, 0, 1, 1, 1]] * 4
    assert made.edges.tolist() == [[0, 0, 2, 0, 0, 0]] * 4
    assert made.weight.tolist() == [[0.25, 0.25, 2.25, 0.25, 0.25, 0.25]] * 4


def test_loss_is_that_of_the_config():
    config_loss = runpy.run_path(str(TOOL))['config_loss']
    cfg = Config.fromfile(DEMO)
    loss = config_loss(cfg)
    assert (loss.map_args['kernel_size'], loss.normalize) == (15, 'mean')
    cfg.model.decode_head.loss_decode = [
        dict(type='CrossEntropyLoss'),
        dict(type='BoundaryAwareLoss', beta=0.3),
    ]
    assert config_loss(cfg).map_args['beta'] == 0.3
    cfg.model.decode_head = [cfg.model.decode_head, dict(type='OCRHead')]
    assert config_loss(cfg).map_args['beta'] == 0.3
    cfg.model.decode_head = dict(type='FCNHead', loss_decode=dict(type='CrossEntropyLoss'))
    assert config_loss(cfg).map_args == BoundaryAwareLoss().map_args


def test_figure_tells_mean_and_range():
    weight = np.linspace(0.5, 2.5, 12).reshape(3, 4)
    label = np.array([[0, 0, 1, 255]] * 3)
    edges = np.array([[0, 2, 1, 0]] * 3)
    sample = WeightSample('name', np.zeros((3, 4, 3), np.uint8), label, edges, weight)
    figure = weight_figure(sample, [(0, 0, 0), (255, 0, 0)])
    assert isinstance(figure, Figure)
    titles = [ax.get_title() for ax in figure.axes[:4]]
    assert titles[0] == 'name'
    assert '4 x 3' in titles[1]
    assert '50.0% of the pixels' in titles[2]
    assert 'mean 1.50, 0.50 to 2.50' in titles[3]
