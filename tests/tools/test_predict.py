"""Your own images, intact and broken: masks, overlays and probabilities; what cannot be read."""

import io
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmseg_pacbal import init_inferencer
from mmseg_pacbal.apps import export_onnx
from mmseg_pacbal.apps.predict import batches, find_jobs
from mmseg_pacbal.datasets.synthetic_scene import PALETTE
from mmseg_pacbal.visualization import paint
from tests.running import call_tool, failure
from tests.visualization.tiny import write_checkpoint, write_config


@pytest.fixture(scope='module')
def inferencer(tiny):
    return init_inferencer(*tiny, device='cpu')


def read(path: Path) -> np.ndarray:
    return np.array(Image.open(path))


def argmax(inferencer, image: np.ndarray) -> np.ndarray:
    """Of the model's logits, (H, W), for a BGR image."""
    return inferencer(image, return_datasamples=True).seg_logits.data.argmax(0).numpy()


def test_mask_and_overlay_keep_folders_and_batches_change_nothing(
    tiny, inferencer, picture, tmp_path, capsys
):
    photos, out = tmp_path / 'photos', tmp_path / 'out'
    (photos / 'sub' / 'deep').mkdir(parents=True)
    names = ['a.jpg', 'b.bmp', 'sub/c.PNG', 'sub/deep/d.tif', 'sub/e.webp']
    for i, name in enumerate(names):
        size = (80, 64) if i != 1 else (96, 50)
        picture.rotate(20 * i).resize(size).save(photos / name)
    (photos / 'notes.txt').write_text('no image')
    call_tool('predict', *tiny, photos, '--out', out, '--batch-size', 3)
    assert 'labelled 5 of 5 images' in capsys.readouterr().out
    expected = ['a.png', 'b.png', 'sub/c.png', 'sub/deep/d.png', 'sub/e.png']
    assert sorted(out.rglob('*.png')) == [out / 'masks' / name for name in expected]
    for name, mask in zip(names, expected, strict=True):
        image = mmcv.imread(str(photos / name))
        label = argmax(inferencer, image)
        written = Image.open(out / 'masks' / mask)
        assert written.mode == 'P' and np.array_equal(np.array(written), label)
        assert len(np.unique(label)) > 1
        colours = paint(label, PALETTE)
        assert np.array_equal(np.array(written.convert('RGB')), colours)
        overlay = read((out / 'overlays' / mask).with_suffix('.jpg')).astype(float)
        blend = (colours.astype(float) + image[..., ::-1]) / 2
        assert np.abs(overlay - blend).mean() < 8  # a JPEG


@pytest.mark.parametrize('opacity', [0.25, 1])
def test_opacity_and_legend(opacity, tiny, picture, tmp_path):
    picture.save(tmp_path / 'a.png')
    options = ['--opacity', opacity, '--legend']
    call_tool('predict', *tiny, tmp_path / 'a.png', '--out', tmp_path, *options)
    label = read(tmp_path / 'masks' / 'a.png')
    height, width = label.shape
    overlay = read(tmp_path / 'overlays' / 'a.jpg').astype(float)
    blend = opacity * paint(label, PALETTE) + (1 - opacity) * np.array(picture)
    assert np.abs(overlay[:height, :width] - blend).mean() < 8  # a JPEG
    assert overlay.shape[0] > height + 8
    assert overlay[height:].std() > 5  # names and colours


def test_amp_predicts_under_autocast(tiny, inferencer, picture, tmp_path):
    picture.save(tmp_path / 'a.png')
    call_tool('predict', *tiny, tmp_path / 'a.png', '--out', tmp_path, '--amp', '--device', 'cpu')
    image = mmcv.imread(str(tmp_path / 'a.png'))
    with torch.autocast('cpu', torch.bfloat16):
        logits = inferencer(image, return_datasamples=True).seg_logits.data
    assert logits.dtype == torch.bfloat16
    mask = read(tmp_path / 'masks' / 'a.png')
    assert np.array_equal(mask, logits.argmax(0).numpy())
    assert (mask != argmax(inferencer, image)).any()  # float32 decides some pixels otherwise


@pytest.mark.slow
@pytest.mark.parametrize('size', [(1, 1), (3, 17), (300, 5)])
def test_any_size(size, tiny, picture, tmp_path):
    picture.resize(size).save(tmp_path / 'a.png')
    call_tool('predict', *tiny, tmp_path / 'a.png', '--out', tmp_path / 'out')
    for name in ('masks/a.png', 'overlays/a.jpg'):
        assert Image.open(tmp_path / 'out' / name).size == size


def encoded(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def test_unreadable_files_are_skipped_and_listed(tiny, picture, tmp_path, capsys):
    photos, out = tmp_path / 'photos', tmp_path / 'out'
    photos.mkdir()
    picture.save(photos / 'good.jpg')
    whole = {'truncated.jpg': encoded(picture, 'JPEG'), 'truncated.png': encoded(picture, 'PNG')}
    broken = {name: data[: len(data) // 2] for name, data in whole.items()}
    broken |= {'empty.jpg': b'', 'text.jpg': b'a letter', 'zeros.png': bytes(500)}
    for name, data in broken.items():
        (photos / name).write_bytes(data)
    printed, sentence = failure(capsys, 'predict', *tiny, photos, '--out', out)
    assert sentence == '5 of 6 files could not be read; see above'
    assert 'labelled 1 of 6 images' in printed
    for name in broken:
        assert f'image {photos / name} is ' in printed
    assert {p.name for p in out.rglob('*.*')} == {'good.png', 'good.jpg'}


def test_files_of_one_name_do_not_overwrite_each_other(tmp_path):
    for name in ('a.jpg', 'a.png', 'a.jpg.bmp', 'b.jpg'):
        (tmp_path / name).touch()
    jobs = find_jobs(tmp_path, tmp_path / 'out')
    masks = [job.mask.name for job in jobs]
    assert masks == ['a.jpg.png', 'a.jpg.bmp.png', 'a.png.png', 'b.png']
    assert len({job.overlay for job in jobs}) == 4


def test_results_inside_the_folder_are_not_labelled_again(tmp_path):
    for name in ('a.jpg', 'masks/a.png', 'overlays/a.jpg', 'probabilities/1/a.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    assert [job.path.name for job in find_jobs(tmp_path, tmp_path)] == ['a.jpg']
    # Else --overwrite would put a mask where the image is.
    with pytest.raises(FileNotFoundError, match='holds no images'):
        find_jobs(tmp_path / 'masks' / 'a.png', tmp_path)


def test_batches_hold_one_size_and_wait_for_few():
    items = [(i, np.zeros((i % 3 + 1, 2, 3))) for i in range(20)]
    made = list(batches(items, 4))
    assert sorted(i for batch in made for i, _ in batch) == list(range(20))
    assert all(len({image.shape for _, image in batch}) == 1 for batch in made)
    assert sorted(map(len, made)) == [2, 3, 3, 4, 4, 4]

    waiting = []
    different = ((waiting.append(i), (i, np.zeros((i + 1, 1, 3))))[1] for i in range(100))
    for done, batch in enumerate(batches(different, 2)):
        assert len(batch) == 1
        assert len(waiting) - done <= 8


@pytest.mark.parametrize('to_float32', [False, True])
def test_images_are_read_as_the_config_reads_them(to_float32, tiny, inferencer, tmp_path):
    """16-bit images, whose upper byte is 0 or 1, so that 8-bit colour would be black."""
    pixels = np.random.default_rng(0).integers(0, 582, (64, 80, 3)).astype(np.uint16)
    mmcv.imwrite(pixels, str(tmp_path / 'a.png'))
    cfg = Config.fromfile(tiny[0])
    loader = dict(color_type='unchanged', to_float32=to_float32)
    cfg.test_dataloader.dataset.pipeline[0].update(loader)
    cfg.dump(tmp_path / 'config.py')
    call_tool('predict', tmp_path / 'config.py', tiny[1], tmp_path / 'a.png', '--out', tmp_path)
    sample = inferencer(pixels.astype(np.float32))
    assert np.array_equal(read(tmp_path / 'masks' / 'a.png'), sample['predictions'])
    assert read(tmp_path / 'overlays' / 'a.jpg').std() > 20  # not black


# --- probabilities: of one output channel and of several ---


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
