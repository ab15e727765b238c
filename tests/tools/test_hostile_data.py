"""Broken images, masks and lists: found by ``--check``, named when a tool meets one."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from PIL import Image
from torch._utils import ExceptionWrapper

from mmseg_pacbal import configs
from mmseg_pacbal.errors import one_sentence
from tests.running import ROOT, call_tool, failure, run_tool

CAMVID = ROOT / 'configs' / 'pac_bal_camvid.py'
SMALL = {
    'model.backbone.stem_channels': 4,
    'model.backbone.base_channels': 4,
    'model.decode_head.in_channels': 32,
    'model.decode_head.channels': 8,
}
PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
LABEL = (np.arange(48 * 64, dtype=np.uint8) % 12).reshape(48, 64)
LABEL[LABEL == 11] = 255


@pytest.fixture
def data(tmp_path) -> Path:
    """Twelve images for training and for validation in CamVid's layout."""
    root = tmp_path / 'camvid'
    for split in ('train', 'val'):
        for folder in ('images', 'labels'):
            (root / folder / split).mkdir(parents=True)
        for index in range(12):
            Image.fromarray(PIXELS).save(root / f'images/{split}/{index:02}.jpg')
            Image.fromarray(LABEL).save(root / f'labels/{split}/{index:02}.png')
    return root


def arguments(data: Path, *args: object, workers: int = 0, options: Sequence[str] = ()) -> list:
    """Of a tool that runs a very small model, in training for an iteration."""
    loaders = [f'{name}_dataloader' for name in ('train', 'val', 'test')]
    options = [
        *options,
        *(f'{name}={value}' for name, value in SMALL.items()),
        *(f'data_root={data}', 'crop_size=32,32', 'max_iters=1', 'train_dataloader.batch_size=12'),
        *(f'{loader}.num_workers={workers}' for loader in loaders),
        *(f'{loader}.persistent_workers={workers > 0}' for loader in loaders),
    ]
    return [CAMVID, *args, '--work-dir', data.parent / 'work', '--cfg-options', *options]


def checked(capsys, data: Path, *options: str) -> tuple[list[str], str]:
    """The problems that ``--check`` lists, and the sentence it ends with."""
    out, sentence = failure(capsys, 'train', *arguments(data, '--check', options=options))
    listed = [x for x in out.splitlines() if x.startswith(('train_data', 'val_data'))]
    return [x for x in listed if '% void' not in x and '━' not in x], sentence


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def save(pixels: np.ndarray, mode: str | None = None, **options: object) -> Callable[[Path], None]:
    image = Image.fromarray(pixels)
    return lambda path: (image.convert(mode) if mode else image).save(path, **options)


def no_image(path: Path) -> None:
    path.write_text('<html>404</html>')


ROTATED = Image.Exif()
ROTATED[274] = 6
SIZES = 'mask {mask} is %s pixels, but its image {image} is %s'
# Which of image and mask is broken, how, and the sentence on it.
BROKEN = [
    ('images', cut, 'image {image} is damaged ('),
    ('images', lambda path: path.write_bytes(b''), 'image {image} is empty; copy or download it'),
    ('images', no_image, 'image {image} is not an image'),
    ('images', save(PIXELS, exif=ROTATED), SIZES % ('64x48', '48x64')),
    ('images', save(PIXELS[:40, :50]), SIZES % ('64x48', '50x40')),
    ('labels', Path.unlink, 'mask {mask} is missing'),
    ('labels', cut, 'mask {mask} is damaged ('),
    ('labels', lambda path: path.write_bytes(b''), 'mask {mask} is empty; copy or download it'),
    ('labels', no_image, 'mask {mask} is not an image'),
    ('labels', save(PIXELS), 'mask {mask} has mode RGB, but a mask has one channel with the index'),
    ('labels', save(np.tile(LABEL, (2, 1))), SIZES % ('64x96', '64x48')),
    (
        'labels',
        save(np.where(LABEL == 3, 11, LABEL).astype(np.uint8)),
        'mask {mask} holds 11, but accepted are 0..10 and 255',
    ),
]


def test_check_finds_every_broken_file(capsys, data):
    """Of validation one image and its mask have several problems, which are all listed."""
    expected = []
    for index, (what, damage, sentence) in enumerate(BROKEN):
        image, mask = data / f'images/train/{index:02}.jpg', data / f'labels/train/{index:02}.png'
        damage(image if what == 'images' else mask)
        expected.append(f'train_dataloader: {sentence.format(image=image, mask=mask)}')
    image, mask = data / 'images/val/01.jpg', data / 'labels/val/01.png'
    save(np.full((48, 64), 300, np.uint16))(data / 'labels/val/00.png')  # 44 in a byte
    cut(data / 'images/val/00.jpg')
    save(np.full((40, 50), 12, np.uint8))(mask)
    expected += [
        f'val_dataloader: image {data}/images/val/00.jpg is damaged',
        f'val_dataloader: mask {data}/labels/val/00.png holds 300, but accepted are 0..10 and 255',
        f'val_dataloader: mask {mask} holds 12, but accepted are 0..10 and 255',
        f'val_dataloader: mask {mask} is 50x40 pixels, but its image {image} is 64x48',
    ]
    listed, last = checked(capsys, data)
    assert len(listed) == len(expected)
    for line, sentence in zip(listed, expected, strict=True):
        assert line.startswith(sentence)
    assert last.startswith(f'{len(expected)} problems were found, listed above; fix')
    assert not (data.parent / 'work').exists()


def test_training_and_testing_name_the_file(capsys, data, tmp_path):
    """The other kinds are named by the same code."""
    image, mask = data / 'images' / 'train' / '00.jpg', data / 'labels' / 'val' / '00.png'
    cut(image)
    save(PIXELS)(mask)
    assert failure(capsys, 'train', *arguments(data))[1].startswith(f'image {image} is damaged (')
    init_default_scope('mmseg')
    model = MODELS.build(configs.load_config(str(CAMVID), SMALL).model)
    torch.save(model.state_dict(), tmp_path / 'a.pth')
    sentence = failure(capsys, 'test', *arguments(data, tmp_path / 'a.pth'))[1]
    assert sentence.startswith(f'mask {mask} has mode RGB')


def test_sentence_of_a_worker_is_its_last_line():
    try:
        raise ValueError('image a.jpg is empty')
    except ValueError:
        wrapped = ExceptionWrapper(where='in DataLoader worker process 0')
    with pytest.raises(ValueError, match='Original Traceback') as error:
        wrapped.reraise()
    assert one_sentence(error.value) == 'image a.jpg is empty'


@pytest.mark.parametrize(
    ('split', 'sizes', 'remedy'),
    [
        ('val', [(40, 50), (48, 64)], 'give --cfg-options val_dataloader.batch_size=1 and test'),
        ('train', [(48, 64)], 'or more: give --cfg-options train_dataloader.batch_size=2'),
    ],
)
def test_errors_of_others_get_a_remedy(split, sizes, remedy, capsys, data):
    for index, (height, width) in enumerate(sizes):
        for folder, pixels in (('images', PIXELS), ('labels', LABEL)):
            path = next((data / folder / split).glob(f'{index:02}.*'))
            save(pixels[:height, :width])(path)
    batch = 2 if split == 'val' else 1
    options = [f'{split}_dataloader.batch_size={batch}', 'train_cfg.val_interval=1']
    command = arguments(data, options=options)
    if split == 'train':
        command.remove('train_dataloader.batch_size=12')
    assert remedy in failure(capsys, 'train', *command)[1]


@pytest.mark.slow
def test_training_names_what_a_worker_met(data):
    mask = data / 'labels' / 'train' / '00.png'
    save(PIXELS)(mask)
    # In a process of its own: to fork one in which Ray or OpenVINO has left threads is not safe.
    result = run_tool('train', *arguments(data, workers=2))
    assert result.returncode == 1, result.stderr
    assert f'\nerror: mask {mask} has mode RGB' in f'\n{result.stderr}'
    assert 'Traceback' not in result.stderr


def test_check_of_sound_data(capsys, data):
    """Modes that loading turns into colour are no fault."""
    save(PIXELS, 'L')(data / 'images/train/00.jpg')
    save(PIXELS, 'CMYK')(data / 'images/train/01.jpg')
    before = {p: p.stat().st_mtime_ns for p in data.rglob('*')}
    call_tool('train', *arguments(data, '--check'))
    out = capsys.readouterr().out
    for split in ('train', 'val'):
        line = f'{split}_dataloader, {data}/images/{split}: 12 images, 0 with problems, 8.20% void'
        assert line in out
    assert {p: p.stat().st_mtime_ns for p in data.rglob('*')} == before


def test_check_continues_after_a_data_set_that_cannot_be_built(capsys, data):
    (data / 'train.txt').write_bytes(b'00\n\n01\n')
    cut(data / 'labels/val/01.png')
    listed, _ = checked(capsys, data, 'train_dataloader.dataset.ann_file=train.txt')
    assert [x.split(' (')[0] for x in listed] == [
        f'train_dataloader: list {data}/train.txt has an empty line',
        f'val_dataloader: mask {data}/labels/val/01.png is damaged',
    ]


def test_list_that_names_missing_files(capsys, data):
    (data / 'train.txt').write_text('00\n70\n80\n')
    option = 'train_dataloader.dataset.ann_file=train.txt'
    image, mask = f'{data}/images/train', f'{data}/labels/train'
    assert failure(capsys, 'train', *arguments(data, options=[option]))[1] == (
        f'train_dataloader: image {image}/70.jpg is missing, and so are 3 more files; complete the '
        'data set, in which every image needs a mask of its name'
    )
    assert checked(capsys, data, option)[0] == [
        f'train_dataloader: image {image}/70.jpg is missing',
        f'train_dataloader: mask {mask}/70.png is missing',
        f'train_dataloader: image {image}/80.jpg is missing',
        f'train_dataloader: mask {mask}/80.png is missing',
    ]
