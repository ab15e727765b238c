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


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    init_default_scope('mmseg')
    torch.save(
        MODELS.build(configs.load_config(str(CAMVID), SMALL).model).state_dict(), tmp_path / 'a.pth'
    )
    return tmp_path / 'a.pth'


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


def mistake(
    capsys, data: Path, *args: object, tool: str = 'train', **options: object
) -> tuple[list[str], str]:
    """What a tool, run in this process, lists, and the one sentence that it ends with."""
    out, sentence = failure(capsys, tool, *arguments(data, *args, **options))
    listed = [x for x in out.splitlines() if x.startswith(('train_data', 'val_data'))]
    return [x for x in listed if '% void' not in x and '━' not in x], sentence


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def save(pixels: np.ndarray, mode: str | None = None, **options: object) -> Callable[[Path], None]:
    image = Image.fromarray(pixels)
    return lambda path: (image.convert(mode) if mode else image).save(path, **options)


def empty(path: Path) -> None:
    path.write_bytes(b'')


def no_image(path: Path) -> None:
    path.write_text('<html>404</html>')


ROTATED = Image.Exif()
ROTATED[274] = 6
# Which of image and mask is broken, how, and the sentence on it.
BROKEN = {
    'truncated image': ('image', cut, 'image {image} is damaged ('),
    'empty image': ('image', empty, 'image {image} is empty; copy or download it again'),
    'no image': ('image', no_image, 'image {image} is not an image'),
    'turned image': (
        'image',
        save(PIXELS, exif=ROTATED),
        'mask {mask} is 64x48 pixels, but its image {image} is 48x64',
    ),
    'smaller image': (
        'image',
        save(PIXELS[:40, :50]),
        'mask {mask} is 64x48 pixels, but its image {image} is 50x40',
    ),
    'missing mask': ('mask', Path.unlink, 'mask {mask} is missing'),
    'truncated mask': ('mask', cut, 'mask {mask} is damaged ('),
    'empty mask': ('mask', empty, 'mask {mask} is empty; copy or download it again'),
    'no mask': ('mask', no_image, 'mask {mask} is not an image'),
    'coloured mask': (
        'mask',
        save(PIXELS),
        'mask {mask} has mode RGB, but a mask has one channel with the index of a class in each ',
    ),
    'larger mask': (
        'mask',
        save(np.tile(LABEL, (2, 1))),
        'mask {mask} is 64x96 pixels, but its image {image} is 64x48',
    ),
    'value out of range': (
        'mask',
        save(np.where(LABEL == 3, 11, LABEL).astype(np.uint8)),
        'mask {mask} holds 11, but accepted are 0..10 and 255',
    ),
}


def break_one(data: Path, kind: str, split: str = 'train', index: int = 0) -> str:
    """Break a file; the sentence on it."""
    what, damage, sentence = BROKEN[kind]
    paths = dict(
        image=data / 'images' / split / f'{index:02}.jpg',
        mask=data / 'labels' / split / f'{index:02}.png',
    )
    damage(paths[what])
    return sentence.format(**paths)


def test_check_finds_every_broken_file(capsys, data):
    expected = []
    for split in ('train', 'val'):
        for index, kind in enumerate(BROKEN):
            expected.append(f'{split}_dataloader: {break_one(data, kind, split, index)}')
    listed, last = mistake(capsys, data, '--check')
    assert len(listed) == len(expected)
    for line, sentence in zip(listed, expected, strict=True):
        assert line.startswith(sentence)
    assert last.startswith(f'{len(expected)} problems were found in the data, listed above; fix')
    assert not (data.parent / 'work').exists()


# The others are named by the same code.
@pytest.mark.parametrize(
    'kind',
    [
        'truncated image',
        *(pytest.param(k, marks=pytest.mark.slow) for k in BROKEN if k != 'missing mask'),
    ],
)
def test_training_names(capsys, data, kind):
    sentence = break_one(data, kind)
    assert mistake(capsys, data)[1].startswith(sentence)


@pytest.mark.slow
@pytest.mark.parametrize('kind', [kind for kind in BROKEN if kind != 'missing mask'])
def test_testing_names(capsys, data, checkpoint, kind):
    sentence = break_one(data, kind, 'val')
    assert mistake(capsys, data, checkpoint, tool='test')[1].startswith(sentence)


def test_sentence_of_a_worker_is_its_last_line():
    try:
        raise ValueError('image a.jpg is empty')
    except ValueError:
        wrapped = ExceptionWrapper(where='in DataLoader worker process 0')
    with pytest.raises(ValueError, match='Original Traceback') as error:
        wrapped.reraise()
    assert one_sentence(error.value) == 'image a.jpg is empty'


@pytest.mark.slow
def test_training_names_what_a_worker_met(data):
    sentence = break_one(data, 'coloured mask')
    # In a process of its own: to fork one in which Ray or OpenVINO has left threads is not safe.
    result = run_tool('train', *arguments(data, workers=2))
    assert result.returncode == 1, result.stderr
    assert f'\nerror: {sentence}' in f'\n{result.stderr}'
    assert 'Traceback' not in result.stderr


def test_check_lists_all_problems_of_a_sample(capsys, data):
    mask, image = data / 'labels/val/01.png', data / 'images/val/01.jpg'
    save(np.full((48, 64), 300, np.uint16))(data / 'labels/val/00.png')  # 44 in a byte
    cut(data / 'images/val/00.jpg')
    save(np.full((40, 50), 12, np.uint8))(mask)
    assert [x.split(' (')[0] for x in mistake(capsys, data, '--check')[0]] == [
        f'val_dataloader: image {data}/images/val/00.jpg is damaged',
        f'val_dataloader: mask {data}/labels/val/00.png holds 300, but accepted are 0..10 and 255',
        f'val_dataloader: mask {mask} holds 12, but accepted are 0..10 and 255',
        f'val_dataloader: mask {mask} is 50x40 pixels, but its image {image} is 64x48',
    ]


def test_check_continues_after_a_data_set_that_cannot_be_built(capsys, data):
    cut(data / 'labels/val/01.png')
    (data / 'labels' / 'train').rename(data / 'labels' / 'elsewhere')
    listed, _ = mistake(capsys, data, '--check')
    assert [x.split(' (')[0] for x in listed] == [
        f'train_dataloader: seg_map_path {data}/labels/train does not exist; complete the data set '
        'or give --cfg-options data_root=...',
        f'val_dataloader: mask {data}/labels/val/01.png is damaged',
    ]


def test_check_of_sound_data(capsys, data):
    """Modes that loading turns into colour are no fault."""
    save(PIXELS, 'L')(data / 'images/train/00.jpg')
    save(PIXELS, 'CMYK')(data / 'images/train/01.jpg')
    before = {p: p.stat().st_mtime_ns for p in data.rglob('*')}
    call_tool('train', *arguments(data, '--check'))
    out = capsys.readouterr().out
    assert f'train_dataloader, {data}/images/train: 12 images, 0 with problems, 8.20% void' in out
    assert f'val_dataloader, {data}/images/val: 12 images, 0 with problems, 8.20% void' in out
    assert {p: p.stat().st_mtime_ns for p in data.rglob('*')} == before


LISTS = {
    'missing': (None, 'list {path} is missing'),
    'empty': (b'', 'list {path} is empty; write one image name per line'),
    'with an empty line': (b'00\n\n01\n', 'list {path} has an empty line (2); remove it'),
    'no text': (b'\xff\xd8\xff\xe0', 'list {path} is not text; write one image name per line'),
}


def write_list(data: Path, content: bytes | None) -> tuple[Path, str]:
    """The list of training images and the option that has it read."""
    path = data / 'train.txt'
    if content is not None:
        path.write_bytes(content)
    return path, f'train_dataloader.dataset.ann_file={path.name}'


@pytest.mark.parametrize(
    'kind', ['with an empty line', *(pytest.param(k, marks=pytest.mark.slow) for k in LISTS)]
)
def test_lists(capsys, data, kind):
    content, sentence = LISTS[kind]
    path, option = write_list(data, content)
    expected = f'train_dataloader: {sentence.format(path=path)}'
    assert mistake(capsys, data, options=[option])[1] == expected
    assert mistake(capsys, data, '--check', options=[option])[0] == [expected]


def test_list_that_names_missing_files(capsys, data):
    _, option = write_list(data, b'00\n70\n80\n')
    image, mask = f'{data}/images/train', f'{data}/labels/train'
    last = mistake(capsys, data, options=[option])[1]
    assert last == (
        f'train_dataloader: image {image}/70.jpg is missing, and so are 3 more files; complete the '
        'data set, in which every image needs a mask of its name'
    )
    assert mistake(capsys, data, '--check', options=[option])[0] == [
        f'train_dataloader: image {image}/70.jpg is missing',
        f'train_dataloader: mask {mask}/70.png is missing',
        f'train_dataloader: image {image}/80.jpg is missing',
        f'train_dataloader: mask {mask}/80.png is missing',
    ]
