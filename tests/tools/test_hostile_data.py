"""Broken images, masks and lists: found by ``--check``, named when a tool meets one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch._utils import ExceptionWrapper

from mmseg_pacbal.errors import one_sentence
from tests.openmmlab.datasets.folder_data import (
    NAMES,
    arguments,
    in_colours,
    label,
    write_folder,
)
from tests.running import call_tool, failure, run_tool


@pytest.fixture
def data(tmp_path) -> Path:
    return write_folder(tmp_path / 'my data')


def checked(capsys, data: Path, *options: str) -> tuple[list[str], str]:
    """The problems that ``--check`` lists, and the sentence it ends with."""
    out, sentence = failure(capsys, 'train', *arguments(data, '--check', options=options))
    return [line for line in out.splitlines() if 'dataloader: ' in line], sentence


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def save(pixels: np.ndarray) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(pixels).save(path)


WRONG_COLOUR = in_colours(label())
WRONG_COLOUR[0, 0] = (9, 8, 7)
# What is done to a mask, and the sentence on it.
BROKEN = [
    (Path.unlink, 'mask {mask} is missing'),
    (save(label()[:40, :50]), 'mask {mask} is 50x40 pixels, but its image {image} is 64x48'),
    (
        save(WRONG_COLOUR),
        'mask {mask} holds colour 9 8 7 at x=0, y=0, and 1 of 3072 pixels have none of the 4 ',
    ),
    (
        save(np.where(label() == 2, 300, label().astype(np.uint16))),
        'mask {mask} holds 300, but accepted are 0..2 and 255',
    ),
    (
        save(np.where(label() == 2, 3, label()).astype(np.uint8)),
        'mask {mask} holds 3, but accepted are 0..2 and 255',
    ),
]


def test_check_lists_every_problem(data, capsys):
    """Of one image and its mask both; what else can be wrong is in tests/openmmlab/data_checks."""
    image = data / f'images/train/{NAMES[0]}.jpg'
    cut(image)
    expected = [f'train_dataloader: image {image} is damaged (']
    places = [(split, name) for split in ('train', 'val') for name in NAMES]
    for (split, name), (damage, sentence) in zip(places, BROKEN, strict=False):
        image, mask = data / f'images/{split}/{name}.jpg', data / f'labels/{split}/{name}.png'
        damage(mask)
        expected.append(f'{split}_dataloader: {sentence.format(image=image, mask=mask)}')
    (data / f'images/val/{NAMES[2]}.jpg').unlink()
    unused = f'{data}/labels/val/{NAMES[2]}.png has no image in {data}/images/val'
    expected.append(f'val_dataloader: mask {unused}')
    listed, last = checked(capsys, data)
    assert len(listed) == len(expected)
    for line, sentence in zip(listed, expected, strict=True):
        assert line.startswith(sentence)
    assert last.startswith(f'{len(expected)} problems were found, listed above; fix')
    assert last.endswith('(exit code 1)')
    assert not (data.parent / 'work').exists()


def test_check_continues_after_a_data_set_that_cannot_be_built(capsys, data):
    (data / 'train.txt').write_bytes(b'c\n\na b\n')
    cut(data / 'labels/val/c.png')
    listed, _ = checked(capsys, data, 'train_dataloader.dataset.ann_file=train.txt')
    assert [line.split(' (')[0] for line in listed] == [
        f'train_dataloader: list {data}/train.txt has an empty line',
        f'val_dataloader: mask {data}/labels/val/c.png is damaged',
    ]


def test_list_that_names_missing_files(capsys, data):
    (data / 'train.txt').write_text('c\n70\n80\n')
    option = 'train_dataloader.dataset.ann_file=train.txt'
    image, mask = f'{data}/images/train', f'{data}/labels/train'
    assert failure(capsys, 'train', *arguments(data, options=(option,)))[1] == (
        f'train_dataloader: image {image}/70.jpg is missing, and so are 3 more files; complete the '
        'data set, in which every image needs a mask of its name'
    )
    assert checked(capsys, data, option)[0] == [
        f'train_dataloader: image {image}/70.jpg is missing',
        f'train_dataloader: mask {mask}/70.png is missing',
        f'train_dataloader: image {image}/80.jpg is missing',
        f'train_dataloader: mask {mask}/80.png is missing',
    ]


# --- in training ---


def test_training_names_the_image(data, capsys):
    image = data / 'images' / 'train' / 'c.jpg'
    cut(image)
    assert failure(capsys, 'train', *arguments(data))[1].startswith(f'image {image} is damaged (')


@pytest.mark.slow
def test_training_names_the_mask_that_a_worker_met(data):
    mask = data / 'labels' / 'train' / 'c.png'
    save(WRONG_COLOUR)(mask)
    # In a process of its own: to fork one in which Ray or OpenVINO has left threads is not safe.
    workers = ('train_dataloader.num_workers=2', 'train_dataloader.persistent_workers=True')
    result = run_tool('train', *arguments(data, options=workers))
    assert result.returncode == 1, result.stderr
    assert f'\nerror: mask {mask} holds colour 9 8 7 at' in f'\n{result.stderr}'
    assert 'Traceback' not in result.stderr


def test_sentence_of_a_worker_is_its_last_line():
    try:
        raise ValueError('image a.jpg is empty')
    except ValueError:
        wrapped = ExceptionWrapper(where='in DataLoader worker process 0')
    with pytest.raises(ValueError, match='Original Traceback') as error:
        wrapped.reraise()
    assert one_sentence(error.value) == 'image a.jpg is empty'


@pytest.mark.parametrize(
    ('options', 'remedy'),
    [
        (
            ('val_dataloader.batch_size=2', 'train_cfg.val_interval=1'),
            'give --cfg-options val_dataloader.batch_size=1 and test',
        ),
        (
            ('train_dataloader.batch_size=1',),
            'or more: give --cfg-options train_dataloader.batch_size=2',
        ),
    ],
)
def test_errors_of_others_get_a_remedy(options, remedy, capsys, data):
    """Two sizes in a batch, and one value for each channel in training."""
    save(in_colours(label())[:40, :50])(data / 'images/val/c.jpg')
    save(label()[:40, :50])(data / 'labels/val/c.png')
    assert remedy in failure(capsys, 'train', *arguments(data, options=options))[1]


# --- folders that do not fit ---


def rename(pattern: str, new_name: str) -> Callable[[Path], None]:
    """Rename what fits a pattern below the data; {} in the new name is the old one's stem."""

    def damage(data: Path) -> None:
        for path in sorted(data.glob(pattern)):
            path.rename(path.with_name(new_name.format(path.stem)))

    return damage


@pytest.mark.parametrize(
    ('damage', 'sentence'),
    [
        (lambda data: data.rename(data.with_name('elsewhere')), 'data_root {data} does not exist;'),
        (rename('classes.txt', 'names.txt'), '{data}/classes.txt does not exist; write the name'),
        (
            rename('images/val', 'test'),
            'val_dataloader: img_path {data}/images/val does not exist; complete',
        ),
        (
            rename('images/train/**/*.jpg', '{}.heic'),
            'train_dataloader: {data}/images/train holds no images (.jpg, .jpeg, .png, ',
        ),
        (
            rename('labels/train/**/*.png', '{}.npy'),
            'train_dataloader: {data}/labels/train holds no masks (.png, .bmp, .tif, ',
        ),
    ],
)
def test_data_that_does_not_fit_is_refused(damage, sentence, data, capsys):
    damage(data)
    _, last = failure(capsys, 'train', *arguments(data))
    assert last.startswith(sentence.format(data=data))
    assert not (data.parent / 'work').exists()


def test_the_ending_that_a_sentence_names_is_the_one_that_works(data, capsys):
    rename('labels/train/**/*.png', '{}_mask.png')(data)
    _, last = failure(capsys, 'train', *arguments(data))
    assert last.startswith('train_dataloader: no mask has the name of an image: image ')
    assert last.endswith('give --cfg-options seg_map_suffix=_mask.png')
    rename('labels/val/**/*.png', '{}_mask.png')(data)
    call_tool('train', *arguments(data, '--check', options=('seg_map_suffix=_mask.png',)))
    assert '3 images, 0 with problems' in capsys.readouterr().out
