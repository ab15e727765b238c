"""Probabilities of one output channel and of several, and the class of one."""

from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmseg_pacbal.apps import export_onnx
from mmseg_pacbal.apps.predict import find_jobs
from tests.running import call_tool
from tests.visualization.tiny import write_checkpoint, write_config


def write_model(folder: Path, classes: tuple[str, ...], **head: object) -> tuple[Path, Path]:
    """Config and checkpoint of a model with these classes."""
    config = write_config(folder, dict(type='CrossEntropyLoss', use_sigmoid='out_channels' in head))
    cfg = Config.fromfile(config)
    cfg.model.decode_head.update(num_classes=len(classes), **head)
    for name in ('train', 'val', 'test'):
        cfg.merge_from_dict({f'{name}_dataloader.dataset.metainfo': dict(classes=classes)})
    cfg.dump(config)
    return config, write_checkpoint(config)


def logits_of(model: export_onnx.ExportModel, picture: Image.Image) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float())


@pytest.mark.parametrize(
    ('channels', 'bits'),
    [(1, 8), (2, 16), *(pytest.param(n, 16, marks=pytest.mark.slow) for n in (1, 3))],
)
def test_probabilities(channels, bits, picture, tmp_path, capsys):
    """exp(z) / sum exp(z) of the logits z, or 1 / (1 + exp(-z)) of one channel, in whole steps."""
    picture.save(tmp_path / 'a.png')
    classes = ('background', 'disk', 'box')[: max(2, channels)]
    one = dict(out_channels=1) if channels == 1 else {}
    tiny, out = write_model(tmp_path, classes, **one), tmp_path / 'out'
    arguments = (*tiny, tmp_path / 'a.png', '--out', out, '--probabilities', bits)
    call_tool('predict', *arguments)
    expected = [1] if channels == 1 else list(range(channels))
    printed = capsys.readouterr().out
    for label in expected:
        assert f'probabilities of {classes[label]}: {out}/probabilities/{label}\n' in printed
    files = sorted((out / 'probabilities').rglob('*.png'))
    assert files == [out / 'probabilities' / str(label) / 'a.png' for label in expected]

    model = export_onnx.load_model(Config.fromfile(tiny[0]), str(tiny[1]))
    z = logits_of(model, picture)[0].double().numpy()
    p = 1 / (1 + np.exp(-z)) if channels == 1 else np.exp(z) / np.exp(z).sum(0)
    written = np.stack([mmcv.imread(str(path), 'unchanged') for path in files])
    assert written.dtype == f'uint{bits}'
    assert np.ptp(p) > 0.2
    steps = written - p * (2**bits - 1)
    assert np.abs(steps).max() <= 0.5 + 2**bits * 1e-5  # rounding, and that of float32 logits
    assert abs(steps.mean()) < 0.01  # neither up nor down


@pytest.mark.parametrize('threshold', [0.33, pytest.param(None, marks=pytest.mark.slow)])
def test_one_output_channel(threshold, picture, tmp_path):
    picture.save(tmp_path / 'a.png')
    head = dict(out_channels=1, threshold=threshold)
    config, checkpoint = write_model(tmp_path, ('background', 'disk'), **head)
    call_tool('predict', config, checkpoint, tmp_path / 'a.png', '--out', tmp_path)

    model = export_onnx.load_model(Config.fromfile(config), str(checkpoint))
    limit = threshold or 0.3  # MMSegmentation's
    assert model.threshold() == limit
    logits = logits_of(model, picture)
    expected = (logits.sigmoid() > limit)[0, 0]
    assert 0 < expected.sum() < expected.numel()
    assert np.array_equal(np.array(Image.open(tmp_path / 'masks' / 'a.png')), expected)
    shifted = logits + 0.5  # other classes at other thresholds
    same = (shifted.sigmoid() > limit)[:, 0] == expected
    assert not same.all()
    assert torch.equal(export_onnx.classes(shifted, limit) == expected, same)


def test_probabilities_of_no_two_images_and_classes_share_a_file(tmp_path):
    for name in ('a.jpg', 'a.png', 'a.1.jpg', '1/a.jpg', '1/1/a.jpg'):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    jobs = find_jobs(tmp_path, tmp_path / 'out')
    paths = {job.probability(label) for job in jobs for label in (0, 1, 11)}
    assert len(paths) == 15
    assert tmp_path / 'out' / 'probabilities' / '11' / '1' / 'a.png' in paths
