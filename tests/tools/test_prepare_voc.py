"""VOC 2012 and SBD from archives of the official structure: made, resumed, refused, verified."""

import contextlib
import io
import os
import stat
import tarfile
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from mmseg_pacbal import configs
from mmseg_pacbal.apps.voc import archives as voc_archives
from mmseg_pacbal.apps.voc import layout as voc_layout
from mmseg_pacbal.datasets.palette import voc_colormap
from mmseg_pacbal.openmmlab.data_checks.loaders import check_data, verify_data
from tests.conftest import DATA
from tests.environments import contents
from tests.running import ROOT, call_tool, failure, mistake
from tests.tools.small_voc import (
    AUG,
    SBD,
    TRAIN,
    TRAINAUG,
    VAL,
    VOC,
    Archives,
    encoded,
    lines,
    mat,
    member,
    sbd_label,
    voc_label,
)

LISTS = dict(train=TRAIN, val=VAL, trainaug=TRAINAUG, aug=AUG)


@pytest.fixture
def archives(tmp_path, monkeypatch) -> Archives:
    for name, listed in LISTS.items():
        monkeypatch.setitem(voc_layout.COUNTS, name, len(listed))
    return Archives(tmp_path / 'archives', monkeypatch)


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / 'VOCdevkit' / 'VOC2012'


@pytest.fixture
def made(archives, root) -> Path:
    archives.prepare(root)
    return root


def arguments(archives: Archives, root: Path) -> tuple:
    return '--voc', archives.voc, '--sbd', archives.sbd, '--out', root.parent


def listed(root: Path, name: str) -> list[str]:
    return (root / 'ImageSets' / 'Segmentation' / f'{name}.txt').read_text().splitlines()


def state(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in root.rglob('*')}


def test_makes_masks_and_lists_that_our_configs_read(capsys, archives, root):
    call_tool('prepare_voc', *arguments(archives, root))
    assert {name: listed(root, name) for name in LISTS} == LISTS
    masks = {path.stem: path for path in (root / 'SegmentationClassAug').iterdir()}
    assert sorted(masks) == sorted([*TRAINAUG, *VAL])
    for name, path in masks.items():
        mask = Image.open(path)
        assert mask.mode == 'P'
        label = voc_label(name) if name in (*TRAIN, *VAL) else sbd_label(name)
        np.testing.assert_array_equal(np.array(mask), label)
    for name in (*TRAIN, *VAL):
        own = root / 'SegmentationClass' / f'{name}.png'
        assert masks[name].read_bytes() == own.read_bytes()
    assert Image.open(masks[AUG[0]]).getpalette() == voc_colormap().ravel().tolist()
    out = capsys.readouterr().out
    assert 'trainaug, SegmentationClassAug: 6 images, 0 with problems, 6.25% void' in out
    assert f'{root} is complete' in out

    cfg = configs.load_config(str(ROOT / 'configs' / 'pac_bal_voc.py'), dict(data_root=str(root)))
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    check_data(cfg, *loaders)
    assert verify_data(cfg, *loaders) == []


def test_second_run_changes_nothing(archives, made):
    (made / 'JPEGImages' / 'of_mine.jpg').write_bytes(b'mine')
    before, content = state(made.parent), contents(made)
    archives.prepare(made)
    assert (state(made.parent), contents(made)) == (before, content)


def killed_after(files: int, archives: Archives, root: Path) -> None:
    """Run in a process of its own that dies with half a file written."""

    def die_at_last(source: Path, target: Path) -> None:
        nonlocal files
        if files == 0:
            os.truncate(source, source.stat().st_size // 2)
            os._exit(9)
        files -= 1
        source.rename(target)

    child = os.fork()
    if child == 0:
        voc_archives.os = type('os', (), dict(replace=staticmethod(die_at_last)))
        archives.prepare(root)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_continues_after_being_killed_at_any_file(archives, made, tmp_path):
    expected = contents(made)
    root = tmp_path / 'killed' / 'VOC2012'
    for _ in range((len(expected) - 1) // 3):
        killed_after(3, archives, root)
        whole = {name: data for name, data in contents(root).items() if not name.endswith('.part')}
        assert whole.items() <= expected.items()
    archives.prepare(root)
    assert contents(root) == expected


@pytest.mark.parametrize(
    'name',
    [
        'JPEGImages/2008_000002.jpg',
        'SegmentationClassAug/2008_000002.png',
        'SegmentationClassAug/2007_000032.png',
        'ImageSets/Segmentation/aug.txt',
    ],
)
def test_nothing_of_the_users_is_overwritten(archives, root, name):
    mine, part = root / name, root / 'JPEGImages' / '2008_000002.jpg.part'
    for path in (mine, part):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(np.full((6, 8), 3, np.uint8), 'PNG'))
    before = mine.read_bytes()
    with pytest.raises(FileExistsError, match=f'^{mine} already exists with other content'):
        archives.prepare(root)
    assert mine.read_bytes() == part.read_bytes() == before


def test_masks_compressed_otherwise_are_kept(archives, root):
    path = root / 'SegmentationClassAug' / '2008_000002.png'
    path.parent.mkdir(parents=True)
    Image.fromarray(sbd_label('2008_000002')).save(path, compress_level=0)
    before = path.read_bytes()
    archives.prepare(root)
    assert path.read_bytes() == before


def test_two_at_once(capsys, archives, root):
    root.parent.mkdir()
    with FileLock(root.parent / '.lock'):
        sentence = mistake(capsys, 'prepare_voc', *arguments(archives, root))
    assert sentence == (
        f'another pacbal prepare-voc writes to {root.parent}; wait until it ends, or give another '
        '--out'
    )
    assert not root.exists()


@pytest.mark.parametrize('which', ['voc', 'sbd'])
def test_archive_with_a_wrong_checksum(capsys, archives, root, which):
    path = getattr(archives, which)
    path.write_bytes(path.read_bytes()[:-1])
    sentence = mistake(capsys, 'prepare_voc', *arguments(archives, root))
    assert sentence.startswith(f'{path} is damaged or a different file: its md5 checksum is ')
    assert sentence.endswith('give the path of an intact copy, or its URL')
    assert not root.exists()


HOSTILE = {
    'absolute': member('/tmp/outside'),
    'parent': member('../outside'),
    'parent further down': member(f'{VOC}/JPEGImages/../../../../outside'),
    'backslash': member('..\\outside'),
    'drive': member('C:/outside'),
    'symbolic link': member(f'{VOC}/up', type=tarfile.SYMTYPE, linkname='../../../outside'),
    'absolute link': member(f'{VOC}/up', type=tarfile.SYMTYPE, linkname='/etc'),
    'hard link': member(f'{VOC}/up', type=tarfile.LNKTYPE, linkname='../outside'),
    'device': member(f'{VOC}/disk', type=tarfile.BLKTYPE),
    'terminal': member(f'{VOC}/tty', type=tarfile.CHRTYPE),
    'pipe': member(f'{VOC}/pipe', type=tarfile.FIFOTYPE),
    'link inside': member(
        f'{VOC}/JPEGImages/again.jpg', type=tarfile.SYMTYPE, linkname='2008_000002.jpg'
    ),
}


@pytest.mark.parametrize('which', ['voc', 'sbd'])
def test_regular_files_below_the_folder_alone_are_written(archives, made, tmp_path, which):
    """Whatever else an archive of the right checksum might hold."""
    setattr(archives, f'{which}_extra', tuple(HOSTILE.values()))
    archives.write()
    root = tmp_path / 'other' / 'VOC2012'
    archives.prepare(root)
    assert contents(root) == contents(made)
    written = [path for path in root.parent.rglob('*') if not path.is_dir()]
    assert all(stat.S_ISREG(path.lstat().st_mode) for path in written)
    assert not list(tmp_path.rglob('outside'))


# --- --check ---


def check(capsys, root: Path) -> tuple[list[str], str]:
    """Problems that --check lists, and the sentence it ends with."""
    out, sentence = failure(capsys, 'prepare_voc', '--check', '--out', root.parent)
    return [x for x in out.splitlines() if 'Checking' not in x and '% void' not in x], sentence


def test_check_lists_every_problem(capsys, made):
    images, masks = made / 'JPEGImages', made / 'SegmentationClass'
    (images / '2008_000002.jpg').unlink()
    image = images / '2011_000025.jpg'
    image.write_bytes(image.read_bytes()[:-100])
    values, size = (masks / f'{name}.png' for name in ('2007_000039', '2007_000033'))
    Image.fromarray(np.full((6, 8), 21, np.uint8)).save(values)
    Image.fromarray(np.zeros((8, 6), np.uint8)).save(size)
    (made / 'SegmentationClassAug' / '2011_000003.png').unlink()
    (made / 'ImageSets' / 'Segmentation' / 'train.txt').write_text('2007_000032\n2007_000039\n')
    before = state(made)
    problems, sentence = check(capsys, made)
    problems[-1] = problems[-1].partition(' (')[0]  # what follows is Pillow's
    assert problems == [
        'train.txt has length 2 instead of 3',
        '2011_000003 is in trainaug.txt only, but trainaug is train and aug together',
        f'mask {values} holds 21, but accepted are 0..20 and 255',
        f'mask {size} is 6x8 pixels, but its image {images}/2007_000033.jpg is 8x6',
        f'image {images}/2008_000002.jpg is missing',
        f'mask {made}/SegmentationClassAug/2011_000003.png is missing',
        f'image {image} is damaged',
    ]
    assert sentence.startswith('7 problems were found, listed above')
    assert state(made) == before


@pytest.mark.parametrize(
    ('name', 'content', 'sentence'),
    [
        ('trainaug', None, 'list {path} is missing'),
        ('aug', '', 'list {path} is empty; write one image name per line'),
        ('val', '2007_000033\n2007_000033\n', 'val.txt names 2007_000033 2 times'),
        ('val', '2007_000033\n2007_000032\n', '2007_000032 is in both train.txt and val.txt'),
    ],
)
def test_check_of_lists(capsys, made, name, content, sentence):
    path = made / 'ImageSets' / 'Segmentation' / f'{name}.txt'
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert sentence.format(path=path) in check(capsys, made)[0]


def test_check_of_the_real_sample(capsys):
    """Three real images: only the counts and the lists, which overlap there, are not VOC's."""
    devkit = DATA / 'voc_sample' / 'VOCdevkit'
    if not devkit.is_dir():
        pytest.skip('the real VOC sample is not beside this checkout')
    assert check(capsys, devkit / 'VOC2012')[0] == [
        f'list {devkit}/VOC2012/ImageSets/Segmentation/trainaug.txt is missing',
        'train.txt has length 2 instead of 1,464',
        'val.txt has length 2 instead of 1,449',
        'aug.txt has length 1 instead of 9,118',
        '2011_000006 is in both train.txt and val.txt',
        '2011_000025 is in both aug.txt and val.txt',
    ]


@pytest.mark.long
def test_true_counts(tmp_path, monkeypatch):
    """As many images as the real archives have, each of 8x6 pixels."""
    everything = [f'2008_{index:06}' for index in range(1464 + 1449 + 9118)]
    train, val, rest = everything[:1464], everything[1464:2913], everything[2913:]
    image = encoded(np.zeros((6, 8, 3), np.uint8), 'JPEG')
    mask, struct = encoded(sbd_label('01'), 'PNG'), mat(sbd_label('01'))
    archives = Archives(tmp_path / 'archives', monkeypatch)
    lists = f'{VOC}/ImageSets/Segmentation'
    archives.voc_files = {f'{VOC}/JPEGImages/{n}.jpg': image for n in everything}
    archives.voc_files |= {f'{VOC}/SegmentationClass/{n}.png': mask for n in (*train, *val)}
    for name, of in (('train', train), ('val', val)):
        archives.voc_files[f'{lists}/{name}.txt'] = lines(of)
    with_sbd = [*rest, *train[:1000], *val[:1237]]
    assert len(with_sbd) == 8498 + 2857
    archives.sbd_files = {f'{SBD}/cls/{n}.mat': struct for n in with_sbd}
    for name, of in (('train', with_sbd[:8498]), ('val', with_sbd[8498:])):
        archives.sbd_files[f'{SBD}/{name}.txt'] = lines(of)
    archives.write()
    root = tmp_path / 'VOCdevkit' / 'VOC2012'
    with contextlib.redirect_stdout(io.StringIO()) as out:
        call_tool('prepare_voc', *arguments(archives, root))
    assert 'trainaug, SegmentationClassAug: 10,582 images, 0 with problems' in out.getvalue()
    assert listed(root, 'trainaug') == sorted([*train, *rest])
