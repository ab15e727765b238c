"""Labels of a config, of a folder, and uploaded ones."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mmseg_pacbal import configs
from mmseg_pacbal.apps.explore import samples
from mmseg_pacbal.apps.explore.samples import config_source, folder_source, full_palette
from mmseg_pacbal.datasets.palette import voc_colormap
from mmseg_pacbal.openmmlab.inference import init_inferencer

LABEL = np.array([[0, 1, 2], [0, 1, 255]], np.uint8)


def save(path: Path, values: np.ndarray = LABEL) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def test_a_config_gives_whole_images_of_its_training_data(tiny):
    source = config_source(configs.load_config(str(tiny[0])))
    folder = tiny[0].parent / 'data'
    assert sorted(source.names) == [f'2012_{i:06d}' for i in range(1, 9)]
    sample = source.load(source.names.index('2012_000002'))
    mask = np.array(Image.open(folder / 'SegmentationClassAug' / '2012_000002.png'))
    np.testing.assert_array_equal(sample.label, mask)
    image = np.array(Image.open(folder / 'JPEGImages' / '2012_000002.jpg'))
    assert sample.image.shape == image.shape == (64, 80, 3)
    assert np.abs(sample.image.astype(int) - image).max() <= 4  # two decoders of JPEG
    assert sample.loss is None
    assert sample.palette[1].tolist() == [128, 0, 0]
    assert source.rules == dict(value_of_colour=None, reduce_zero_label=False, label_map=None)


def test_a_checkpoint_adds_the_loss(tiny):
    cfg, checkpoint = configs.load_config(str(tiny[0])), str(tiny[1])
    source = config_source(cfg, checkpoint)
    sample = source.load(0)
    model = init_inferencer(cfg, checkpoint).model
    mean, std = (getattr(model.data_preprocessor, name).view(3, 1, 1) for name in ('mean', 'std'))
    rgb = torch.from_numpy(sample.image).permute(2, 0, 1).float()
    with torch.no_grad():
        logits = model.eval().encode_decode(((rgb - mean) / std)[None], [dict(img_shape=(64, 80))])
    label = torch.from_numpy(sample.label)[None].long()
    expected = F.cross_entropy(logits, label, ignore_index=255, reduction='none')[0]
    np.testing.assert_allclose(sample.loss, expected.numpy(), rtol=1e-5, atol=1e-7)
    assert expected.max() > 0.5


def test_a_folder_gives_its_labels_with_images_and_colours(tmp_path):
    save(tmp_path / 'labels' / 'train' / 'b.png')
    save(tmp_path / 'labels' / 'train' / 'a.png', LABEL[:, ::-1].copy())
    image = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    save(tmp_path / 'images' / 'train' / 'b.png', image)
    (tmp_path / 'classes.txt').write_text('x 1 2 3\ny 4 5 6\nz 7 8 9\n')
    source = folder_source(tmp_path / 'labels' / 'train')
    assert source.names == ['a.png', 'b.png']
    first, second = source.load(0), source.load(1)
    np.testing.assert_array_equal(first.label, LABEL[:, ::-1])
    assert first.image is None
    np.testing.assert_array_equal(second.image, image)
    assert second.palette[:4].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9], [128, 128, 0]]
    assert source.rules['value_of_colour'] == {(1, 2, 3): 0, (4, 5, 6): 1, (7, 8, 9): 2}
    save(tmp_path / 'labels' / 'train' / 'a.png', np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert source.load(0).label.tolist() == [[0, 1]]
    save(tmp_path / 'labels' / 'train' / 'a.png', np.array([[0, 255, 1]], np.uint8))
    (tmp_path / 'classes.txt').write_text('x\ny = 1 255\n')
    assert folder_source(tmp_path / 'labels').load(0).label.tolist() == [[0, 1, 1]]


def test_mistakes_of_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere does not exist; give a folder'):
        folder_source(tmp_path / 'nowhere')
    with pytest.raises(FileNotFoundError, match='holds no label map'):
        folder_source(tmp_path)
    save(tmp_path / 'labels' / 'a.png')
    save(tmp_path / 'images' / 'a.png', np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(ValueError, match=r'a.png is 3x2 pixels, but its image .* is 5x5'):
        folder_source(tmp_path / 'labels').load(0)


def test_palette_is_complete():
    palette = full_palette([(1, 2, 3)])
    assert palette.shape == (256, 3)
    assert palette[0].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(palette[1:], voc_colormap()[1:])


def read(path: Path, colours: dict | None = None, label_map: dict | None = None) -> np.ndarray:
    rules = dict(value_of_colour=colours, reduce_zero_label=False, label_map=label_map)
    return samples.read_upload(path, rules)


def test_uploads_that_are_labels(tmp_path):
    np.testing.assert_array_equal(read(save(tmp_path / 'grey.png')), LABEL)
    palette = Image.fromarray(LABEL)
    palette.putpalette(voc_colormap().tobytes())
    palette.save(tmp_path / 'palette.png')
    np.testing.assert_array_equal(read(tmp_path / 'palette.png'), LABEL)
    sixteen = save(tmp_path / 'sixteen.png', LABEL.astype(np.uint16))
    np.testing.assert_array_equal(read(sixteen), LABEL)
    rgb = save(tmp_path / 'rgb.png', np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert read(rgb, {(1, 2, 3): 0, (4, 5, 6): 7}).tolist() == [[0, 7]]
    assert read(sixteen, label_map={2: 9})[0, 2] == 9


# Of what a page alone refuses; what else a mask may be is in tests/openmmlab/data_checks.
@pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning')
def test_uploads_that_are_none(tmp_path):
    Image.new('L', (5000, 4000)).save(tmp_path / 'huge.png')
    Image.new('L', (9000, 2)).save(tmp_path / 'long.png')
    Image.new('1', (14000, 14000)).save(tmp_path / 'bomb.png')
    (tmp_path / 'text.png').write_text('no image')
    save(tmp_path / 'rgb.png', np.zeros((2, 2, 3), np.uint8))
    for name, sentence in {
        'huge.png': 'huge.png has 5000 x 4000 pixels, but this page accepts at most 16',
        'long.png': 'long.png has 9000 x 2 pixels, but',
        'bomb.png': 'mask bomb.png has more than 178,956,970 pixels',
        'text.png': 'mask text.png is not an image',
        'rgb.png': 'mask rgb.png has mode RGB, but a mask has one channel',
    }.items():
        with pytest.raises(ValueError) as raised:
            read(tmp_path / name)
        assert str(raised.value).startswith(sentence)
        assert str(tmp_path) not in str(raised.value)
    with pytest.raises(ValueError, match=r'^mask rgb.png holds colour 0 0 0 at x=0, y=0'):
        read(tmp_path / 'rgb.png', {(1, 2, 3): 0})
