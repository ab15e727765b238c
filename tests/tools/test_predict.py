"""Your own images, intact and broken: masks are the argmax, unreadable files are named."""

import io
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from PIL import Image

from mmseg_pacbal import init_inferencer
from mmseg_pacbal.datasets.synthetic_scene import PALETTE, render_scene
from mmseg_pacbal.visualization import paint
from tests.running import call_tool, load_tool
from tests.visualization.tiny import write_checkpoint, write_config

ORIENTATION = 0x112  # of EXIF


@pytest.fixture(scope='module')
def tool() -> dict:
    return load_tool('predict')


@pytest.fixture(scope='module')
def picture() -> Image.Image:
    return Image.fromarray(render_scene(np.random.default_rng(0), (64, 80))[0])


def expected_mask(tiny: tuple[Path, Path], image: np.ndarray) -> np.ndarray:
    """The argmax of the model's logits, (H, W), of a BGR image."""
    inferencer = init_inferencer(*tiny, device='cpu')
    sample = inferencer(image, return_datasamples=True)
    return sample.seg_logits.data.argmax(0).numpy()


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_mask_and_overlay(tiny, picture, tmp_path, capsys):
    picture.save(tmp_path / 'a.png')
    call_tool('predict', *tiny, tmp_path / 'a.png', '--out', tmp_path / 'out')
    image = mmcv.imread(str(tmp_path / 'a.png'))
    label = expected_mask(tiny, image)

    mask = Image.open(tmp_path / 'out' / 'masks' / 'a.png')
    assert mask.mode == 'P'
    assert np.array_equal(np.array(mask), label)
    assert len(np.unique(label)) > 1
    assert np.array_equal(np.array(mask.convert('RGB')), paint(label, PALETTE))
    overlay = np.array(Image.open(tmp_path / 'out' / 'overlays' / 'a.jpg')).astype(float)
    blend = (paint(label, PALETTE).astype(float) + image[..., ::-1]) / 2
    assert np.abs(overlay - blend).mean() < 8  # a JPEG
    assert 'labelled 1 of 1 images' in capsys.readouterr().out


def test_amp_predicts_under_autocast(tiny, picture, tmp_path):
    picture.save(tmp_path / 'a.png')
    call_tool('predict', *tiny, tmp_path / 'a.png', '--out', tmp_path, '--amp', '--device', 'cpu')
    inferencer = init_inferencer(*tiny, device='cpu')
    image = mmcv.imread(str(tmp_path / 'a.png'))
    with torch.autocast('cpu', torch.bfloat16):
        sample = inferencer(image, return_datasamples=True)
    assert sample.seg_logits.data.dtype == torch.bfloat16
    label = sample.seg_logits.data.argmax(0).numpy()
    mask = np.array(Image.open(tmp_path / 'masks' / 'a.png'))
    assert np.array_equal(mask, label)
    assert (mask != expected_mask(tiny, image)).any()  # float32 decides some pixels otherwise


def test_folders_are_kept_and_batches_change_nothing(tiny, picture, tmp_path):
    photos = tmp_path / 'photos'
    (photos / 'sub' / 'deep').mkdir(parents=True)
    names = ['a.jpg', 'b.bmp', 'sub/c.PNG', 'sub/deep/d.tif', 'sub/e.webp']
    for i, name in enumerate(names):
        size = (80, 64) if i != 1 else (96, 50)
        picture.rotate(20 * i).resize(size).save(photos / name)
    (photos / 'notes.txt').write_text('no image')
    call_tool('predict', *tiny, photos, '--out', tmp_path / 'out', '--batch-size', 3)
    masks = sorted(p for p in (tmp_path / 'out').rglob('*.png'))
    expected = ['a.png', 'b.png', 'sub/c.png', 'sub/deep/d.png', 'sub/e.png']
    assert masks == [tmp_path / 'out' / 'masks' / name for name in expected]
    for name, mask in zip(names, masks, strict=True):
        label = expected_mask(tiny, mmcv.imread(str(photos / name)))
        assert np.array_equal(np.array(Image.open(mask)), label)
    overlays = [Path('out', 'overlays', name).with_suffix('.jpg') for name in expected]
    assert all((tmp_path / path).is_file() for path in overlays)


@pytest.mark.parametrize('mode', ['L', 'LA', 'RGBA', 'P', '1', 'CMYK', 'I;16', 'exif'])
def test_any_mode_is_read_as_colour(mode, tool, picture, tmp_path):
    path = tmp_path / 'picture.png'
    expected = np.array(picture)
    if mode == 'exif':
        path = tmp_path / 'picture.jpg'
        exif = Image.Exif()
        exif[ORIENTATION] = 6  # viewers turn it clockwise by 90 degrees
        picture.save(path, exif=exif, quality=100, subsampling=0)
        expected = np.rot90(expected, -1)
    elif mode == 'I;16':
        grey = np.array(picture.convert('L'))
        Image.fromarray(grey.astype(np.uint16) * 257).save(path)
        expected = np.stack([grey] * 3, axis=2)
    elif mode == 'CMYK':
        path = tmp_path / 'picture.jpg'
        picture.convert('CMYK').save(path, quality=100, subsampling=0)
    else:
        converted = picture.convert(mode)
        converted.save(path)
        expected = np.array(converted.convert('RGB'))
    image = tool['read_image'](str(path))
    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    tolerance = 4 if path.suffix == '.jpg' else 0
    assert np.abs(image[..., ::-1].astype(int) - expected).mean() <= tolerance


@pytest.mark.slow
@pytest.mark.parametrize('size', [(1, 1), (3, 17), (300, 5)])
def test_any_size(size, tiny, picture, tmp_path):
    picture.resize(size).save(tmp_path / 'a.png')
    call_tool('predict', *tiny, tmp_path / 'a.png', '--out', tmp_path / 'out')
    assert Image.open(tmp_path / 'out' / 'masks' / 'a.png').size == size
    assert Image.open(tmp_path / 'out' / 'overlays' / 'a.jpg').size == size


def test_truncated_file_is_not_filled_up(tool, picture, tmp_path, monkeypatch):
    """OpenCV 4 would fill it up with grey."""
    path = tmp_path / 'a.jpg'
    path.write_bytes(encoded(picture, 'JPEG')[:1000])
    monkeypatch.setattr(mmcv, 'imfrombytes', lambda data, **_: np.zeros((64, 80, 3), np.uint8))
    with pytest.raises(ValueError, match=f'image {path} is damaged .*truncated'):
        tool['read_image'](str(path))


def test_unreadable_files_are_skipped_and_listed(tiny, picture, tmp_path, capsys):
    photos = tmp_path / 'photos'
    photos.mkdir()
    picture.save(photos / 'good.jpg')
    whole = {'truncated.jpg': encoded(picture, 'JPEG'), 'truncated.png': encoded(picture, 'PNG')}
    broken = {name: data[: len(data) // 2] for name, data in whole.items()}
    broken |= {'empty.jpg': b'', 'text.jpg': b'a letter', 'zeros.png': bytes(500)}
    for name, data in broken.items():
        (photos / name).write_bytes(data)
    out = tmp_path / 'out'
    argv = ('predict', *tiny, photos, '--out', out)
    with pytest.raises(SystemExit) as ended:
        call_tool(*argv)
    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert 'error: 5 of 6 files could not be read' in printed.err
    assert 'labelled 1 of 6 images' in printed.out
    assert '6/6' in printed.err
    for name in broken:
        assert f'image {photos / name} is ' in printed.out
    assert {p.name for p in out.rglob('*.*')} == {'good.png', 'good.jpg'}


def test_files_of_one_name_do_not_overwrite_each_other(tool, tmp_path):
    for name in ('a.jpg', 'a.png', 'a.jpg.bmp', 'b.jpg'):
        (tmp_path / name).touch()
    jobs = tool['find_jobs'](tmp_path, tmp_path / 'out')
    masks = [job.mask.name for job in jobs]
    assert masks == ['a.jpg.png', 'a.jpg.bmp.png', 'a.png.png', 'b.png']
    assert len({job.overlay for job in jobs}) == 4


def test_results_inside_the_folder_are_not_labelled_again(tool, tmp_path, capsys):
    for name in ('a.jpg', 'masks/a.png', 'overlays/a.jpg'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [job.path.name for job in tool['find_jobs'](tmp_path, tmp_path)] == ['a.jpg']
    # Else --overwrite would put a mask where the image is.
    with pytest.raises(FileNotFoundError, match='holds no images'):
        tool['find_jobs'](tmp_path / 'masks' / 'a.png', tmp_path)


def test_batches_hold_one_size_and_wait_for_few(tool):
    items = [(i, np.zeros((i % 3 + 1, 2, 3))) for i in range(20)]
    made = list(tool['batches'](items, 4))
    assert sorted(i for batch in made for i, _ in batch) == list(range(20))
    assert all(len({image.shape for _, image in batch}) == 1 for batch in made)
    assert sorted(map(len, made)) == [2, 3, 3, 4, 4, 4]

    waiting = []
    different = ((waiting.append(i), (i, np.zeros((i + 1, 1, 3))))[1] for i in range(100))
    for done, batch in enumerate(tool['batches'](different, 2)):
        assert len(batch) == 1
        assert len(waiting) - done <= 8


@pytest.mark.parametrize('threshold', [None, 0.33])
def test_one_output_channel(threshold, picture, tmp_path):
    picture.save(tmp_path / 'a.png')
    config = write_config(tmp_path, dict(type='CrossEntropyLoss', use_sigmoid=True))
    cfg = Config.fromfile(config)
    cfg.model.decode_head.update(num_classes=2, out_channels=1, threshold=threshold)
    for name in ('train', 'val', 'test'):
        metainfo = dict(classes=('background', 'disk'))
        cfg.merge_from_dict({f'{name}_dataloader.dataset.metainfo': metainfo})
    cfg.dump(config)
    model = config, write_checkpoint(config)
    call_tool('predict', *model, tmp_path / 'a.png', '--out', tmp_path, '--device', 'cpu')

    module = init_inferencer(*model, device='cpu').model
    image = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()
    preprocessor = module.data_preprocessor
    x = (image - preprocessor.mean) / preprocessor.std
    with torch.no_grad():
        logits = module.encode_decode(x, [dict(img_shape=x.shape[2:])])
    expected = (logits.sigmoid() > (threshold or 0.3))[0, 0]
    assert 0 < expected.sum() < expected.numel()
    assert np.array_equal(np.array(Image.open(tmp_path / 'masks' / 'a.png')), expected)
    export = load_tool('export_onnx')
    shifted = logits + 0.5  # other classes at other thresholds
    same = (shifted.sigmoid() > (threshold or 0.3)) == expected
    assert not same.all()
    assert torch.equal(export['classes'](shifted, threshold or 0.3) == expected, same[:, 0])


@pytest.mark.parametrize(
    ('loader', 'shape', 'dtype'),
    [
        (dict(color_type='unchanged'), (64, 80, 3), np.uint16),
        (dict(color_type='unchanged', to_float32=True), (64, 80, 3), np.uint16),
        (dict(color_type='grayscale'), (64, 80), np.uint8),
    ],
)
def test_images_are_read_as_the_config_reads_them(loader, shape, dtype, tiny, tool, tmp_path):
    """16-bit images, whose upper byte is 0 or 1, so that 8-bit colour would be black."""
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max // 200 + 255, shape)
    mmcv.imwrite(pixels.astype(dtype), str(tmp_path / 'a.png'))
    cfg = Config.fromfile(tiny[0])
    cfg.test_dataloader.dataset.pipeline[0].update(loader)
    cfg.dump(tmp_path / 'config.py')
    if len(shape) == 2:  # the model takes three channels
        built = LoadImageFromFile(**loader)
        assert np.array_equal(tool['read_pixels'](tmp_path / 'a.png', built), pixels)
        return
    call_tool('predict', tmp_path / 'config.py', tiny[1], tmp_path / 'a.png', '--out', tmp_path)
    sample = init_inferencer(*tiny, device='cpu')(pixels.astype(np.float32))
    assert np.array_equal(np.array(Image.open(tmp_path / 'masks' / 'a.png')), sample['predictions'])
    overlay = np.array(Image.open(tmp_path / 'overlays' / 'a.jpg'))
    assert overlay.std() > 20  # not black


def test_file_that_the_config_s_loader_cannot_read(tool, tmp_path):
    (tmp_path / 'a.png').write_text('a letter')
    unreadable = []
    jobs = tool['find_jobs'](tmp_path, tmp_path / 'out')
    assert not [*tool['read_images'](jobs, LoadImageFromFile(color_type='unchanged'), unreadable)]
    assert unreadable[0].startswith(f'image {tmp_path}/a.png cannot be read by LoadImageFromFile(')


def test_any_pixels_become_a_picture(tool):
    picture_of = tool['picture_of']
    grey = np.array([[0, 1000], [500, 250]], np.uint16)
    expected = np.array([[0, 255], [127, 63]], np.uint8)
    assert np.array_equal(picture_of(grey), np.stack([expected] * 3, axis=2))
    bands = np.arange(16, dtype=np.uint8).reshape(2, 2, 4)
    assert np.array_equal(picture_of(bands), bands[..., :3])
    assert picture_of(np.full((2, 2), 7.0)).tolist() == np.zeros((2, 2, 3), int).tolist()
