"""The tool as users run it: pictures of training samples."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from PIL import Image

from mmseg_pacbal import BoundaryAwareLoss, configs
from mmseg_pacbal.openmmlab.inspection import weigh_sample
from mmseg_pacbal.visualization import WeightSample, weight_figure
from tests.running import DEMO, run_tool


@pytest.mark.slow
def test_pictures_with_mean_and_range(data, tmp_path):
    out = tmp_path / 'pictures'
    options = ['--cfg-options', f'data_root={data}']
    result = run_tool('browse_weights', DEMO, '--num', 2, '--out', out, *options)
    assert result.returncode == 0, result.stderr
    pictures = sorted(out.iterdir())
    assert len(pictures) == 2
    for picture in pictures:
        assert f'{picture}: E_G mean ' in result.stdout
        pixels = np.array(Image.open(picture).convert('RGB'))
        assert pixels.shape[1] > 1000
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 1000
    # The same crops again.
    again = run_tool('browse_weights', DEMO, '--num', 2, '--out', out, '--overwrite', *options)
    assert again.stdout == result.stdout


def test_sample_is_what_the_pipeline_gives():
    import torch
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    init_default_scope('mmseg')
    model = MODELS.build(configs.load_config(str(DEMO)).model)
    model.decode_head.loss_decode = BoundaryAwareLoss(kernel_size=1, downsample=1, beta=0.25)
    image = torch.arange(3 * 4 * 6, dtype=torch.uint8).reshape(3, 4, 6)  # BGR
    label = torch.zeros(1, 4, 6, dtype=torch.uint8)
    label[..., 3:] = 1
    sample = SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=dict(img_path='a/b.jpg'))
    made = weigh_sample(model, dict(inputs=image, data_samples=sample))
    assert made.name == 'b'
    assert np.array_equal(made.image, image.permute(1, 2, 0).numpy()[..., ::-1])
    assert made.label.tolist() == [[0, 0, 0, 1, 1, 1]] * 4
    assert made.edges.tolist() == [[0, 0, 2, 0, 0, 0]] * 4
    assert made.weight.tolist() == [[0.25, 0.25, 2.25, 0.25, 0.25, 0.25]] * 4


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
