"""What the size of the images suggests: the paper's share of it, and a crop that shows most."""

import re

import pytest
from mmengine.config import Config

from mmseg_pacbal.openmmlab.completion import load_complete_config
from mmseg_pacbal.openmmlab.data_checks.suggestions import blur, crop_side, suggest
from tests.running import call_tool
from tests.visualization.tiny import write_config


@pytest.mark.parametrize(
    ('side', 'kernel_size', 'downsample'),
    [
        (500, 35, 4),  # the paper's
        (412, 29, 4),  # that of docs/choose_weights.md
        (250, 17, 4),  # that of docs/add_the_loss.md
        (128, 17, 2),
        (64, 17, 1),
        (20, 5, 1),
        (1, 1, 1),
        (2048, 143, 4),
    ],
)
def test_blur_is_28_percent_of_the_longer_side(side, kernel_size, downsample):
    assert blur(side) == (kernel_size, downsample)
    assert abs(kernel_size * downsample - 0.28 * side) <= downsample
    assert kernel_size % 2 == 1


@pytest.mark.parametrize(
    ('side', 'crop'), [(375, 369), (500, 497), (513, 513), (2048, 513), (33, 33), (32, 17), (5, 17)]
)
def test_crop(side, crop):
    assert crop_side(side) == crop


@pytest.mark.parametrize(
    ('scale', 'size', 'crop'),
    [(2.0, '160x128', '113,145'), pytest.param(1.0, '80x64', '49,65', marks=pytest.mark.slow)],
)
def test_check_prints_options_that_training_takes(scale, size, crop, tmp_path, capsys):
    """Images of 80x64 pixels, also enlarged by the pipeline of the validation."""
    path = write_config(tmp_path)
    cfg = Config.fromfile(path)
    resize = dict(type='Resize', scale_factor=scale, keep_ratio=True)
    cfg.val_dataloader.dataset.pipeline.insert(1, resize)
    cfg.dump(path)
    call_tool('train', path, '--check')
    printed = capsys.readouterr().out
    assert f'the size of the images, {size} pixels in the median:' in printed
    (line,) = re.findall(r'--cfg-options (.+)', printed)
    options = dict(option.split('=') for option in line.split())
    loss = 'model.decode_head.loss_decode'
    kernel_size, downsample = blur(80 * scale)
    assert options == {
        'crop_size': crop,
        f'{loss}.kernel_size': str(kernel_size),
        f'{loss}.downsample': str(downsample),
    }
    call_tool('train', path, '--check', '--cfg-options', *line.split())


def test_nothing_is_suggested_without_what_it_is_for(tmp_path, capsys):
    cfg = load_complete_config(str(write_config(tmp_path, dict(type='CrossEntropyLoss'))))
    cfg.pop('crop_size')
    suggest(cfg)
    cfg.val_dataloader = None
    suggest(cfg)
    assert '--cfg-options' not in capsys.readouterr().out
