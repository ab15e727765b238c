"""Each check of images, masks and lists: what it accepts, and the sentence it ends in."""

import os
from pathlib import Path
from typing import ClassVar

import cv2
import mmcv
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import Compose, ConcatDataset, RepeatDataset
from mmengine.registry import init_default_scope
from mmseg.datasets import BaseSegDataset
from PIL import EpsImagePlugin, Image

from mmseg_pacbal.apps.export_onnx import example_images
from mmseg_pacbal.configs import load_config
from mmseg_pacbal.datasets.synthetic_scene import render_scene
from mmseg_pacbal.openmmlab.data_checks.files import (
    SampleFiles,
    check_size,
    check_values,
    read_image,
    read_list,
)
from mmseg_pacbal.openmmlab.data_checks.masks import read_mask
from mmseg_pacbal.openmmlab.data_checks.samples import (
    CheckedPipeline,
    MaskRules,
    base_datasets,
    report,
    summary,
    verify_sample,
    verify_samples,
)
from tests.running import DEMO

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
SCENE = render_scene(np.random.default_rng(0), (64, 80))[0]
RULES = MaskRules(3)
MASK = (np.arange(48, dtype=np.uint8) % 3).reshape(6, 8)


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **options: object) -> str:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return str(path)


@pytest.mark.parametrize('mode', ['L', 'LA', 'RGBA', 'P', '1', 'CMYK', 'I;16', 'exif'])
def test_any_mode_is_read_as_colour(mode, tmp_path):
    picture = Image.fromarray(SCENE)
    path = tmp_path / ('picture.jpg' if mode in ('exif', 'CMYK') else 'picture.png')
    expected, best = SCENE, dict(quality=100, subsampling=0)
    if mode == 'exif':
        exif = Image.Exif()
        exif[274] = 6  # the orientation: viewers turn it clockwise by 90 degrees
        picture.save(path, exif=exif, **best)
        expected = np.rot90(expected, -1)
    elif mode == 'I;16':
        grey = np.array(picture.convert('L'))
        Image.fromarray(grey.astype(np.uint16) * 257).save(path)
        expected = np.stack([grey] * 3, axis=2)
    elif mode == 'CMYK':
        picture.convert('CMYK').save(path, **best)
    else:
        picture.convert(mode).save(path)
        expected = np.array(picture.convert(mode).convert('RGB'))
    image = read_image(str(path))  # BGR
    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    tolerance = 4 if path.suffix == '.jpg' else 0
    assert np.abs(image[..., ::-1].astype(int) - expected).mean() <= tolerance


@pytest.mark.parametrize('suffix', ['jpg', 'png'])
@pytest.mark.parametrize(('what', 'read'), [('image', read_image), ('mask', read_mask)])
def test_broken_files(tmp_path, suffix, what, read, monkeypatch):
    path = tmp_path / f'a.{suffix}'
    with pytest.raises(FileNotFoundError, match=f'^{what} {path} is missing$'):
        read(str(path))
    path.mkdir()
    with pytest.raises(ValueError, match=f'^{what} {path} cannot be read: Is a directory$'):
        read(str(path))
    path.rmdir()
    path.touch()
    with pytest.raises(ValueError, match=f'^{what} {path} is empty; copy or download it again$'):
        read(str(path))
    path.write_text('<html>404</html>')
    with pytest.raises(ValueError, match=f'^{what} {path} is not an image$'):
        read(str(path))
    save(path, SCENE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    monkeypatch.setattr(mmcv, 'imfrombytes', lambda data, **_: SCENE)  # OpenCV 4 fills it up
    with pytest.raises(ValueError, match=f'^{what} {path} is damaged .*(?i:truncated)'):
        read(str(path))


@pytest.mark.parametrize('read', [read_image, read_mask])
def test_a_program_in_the_guise_of_an_image_is_not_run(tmp_path, read, monkeypatch):
    """Pillow has Ghostscript run an EPS file, whatever its suffix."""
    monkeypatch.setattr(EpsImagePlugin, 'gs_binary', None)  # where Pillow remembers it
    (tmp_path / 'gs').write_text(f'#!/bin/sh\ntouch {tmp_path}/ran\n')
    (tmp_path / 'gs').chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    path = tmp_path / 'a.png'
    path.write_text('%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 6\n%%EndComments\nshowpage\n')
    with pytest.raises(ValueError, match=f'{path} is not an image$'):
        read(str(path))
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('mode', ['L', 'P', '1', 'I;16'])
def test_mask_of_one_channel(tmp_path, mode):
    path, values = tmp_path / 'a.png', MASK % 2
    dtype = {'1': bool, 'I;16': np.uint16}.get(mode, np.uint8)
    image = Image.fromarray(values.astype(dtype))
    if mode == 'P':
        image.putpalette([0, 0, 0, 128, 0, 0])
    image.save(path)
    assert Image.open(path).mode == mode
    np.testing.assert_array_equal(read_mask(str(path)), values)


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'LA'])
def test_mask_of_several_channels(tmp_path, mode):
    path = save(tmp_path / 'a.png', PIXELS, mode)
    with pytest.raises(ValueError) as error:
        read_mask(path)
    assert str(error.value) == (
        f'mask {path} has mode {mode}, but a mask has one channel with the index of a class in '
        'each pixel (mode P or L)'
    )


def test_size():
    sample = SampleFiles('a.jpg', 'a.png')
    check_size(sample, (6, 8), (6, 8))
    with pytest.raises(ValueError, match=r'^mask a.png is 6x8 pixels, but its image a.jpg is 8x6$'):
        check_size(sample, (6, 8), (8, 6))


@pytest.mark.parametrize(
    ('wrong', 'listed'),
    [
        ([21], '21'),
        ([254, 21], '21, 254'),
        ([*range(21, 30)], '21, 22, 23, 24, 25 and 4 more values'),
        ([-1], '-1'),
        ([256], '256'),  # 0 in a byte
    ],
)
def test_values(wrong, listed):
    sentence = f'^mask a.png holds {listed}, but accepted are 0..20 and 255'
    with pytest.raises(ValueError, match=sentence):
        check_values('a.png', np.array([[0, 20, 255, *wrong]]), MaskRules(21).accepted)


@pytest.mark.parametrize('accepted', [[*range(21), 255], [*range(3, 9)], [255], [*range(256)]])
@pytest.mark.parametrize('dtype', [np.uint8, np.int32])
def test_every_value_is_accepted_or_refused_as_the_table_says(accepted, dtype):
    table = np.isin(np.arange(256), accepted)
    for value in range(256):
        mask = np.full((2, 3), accepted[0], dtype)
        mask[1, 2] = value
        if value in accepted:
            check_values('a.png', mask, table)
        else:
            with pytest.raises(ValueError, match=f'^mask a.png holds {value}, but accepted'):
                check_values('a.png', mask, table)


@pytest.mark.parametrize('reduce_zero_label', [False, True])
@pytest.mark.parametrize('classes', [('a', 'b', 'c'), ('c', 'a')])
def test_accepted_values_are_those_that_loading_maps_to_classes(
    tmp_path, reduce_zero_label, classes
):
    class Letters(BaseSegDataset):
        METAINFO: ClassVar[dict] = dict(classes=('a', 'b', 'c'), palette=[[0, 0, 0]] * 3)

    save(tmp_path / 'a.png', np.arange(256, dtype=np.uint8).reshape(16, 16))
    save(tmp_path / 'a.jpg', np.zeros((16, 16, 3), np.uint8))
    dataset = Letters(
        data_root=str(tmp_path),
        metainfo=dict(classes=classes),
        reduce_zero_label=reduce_zero_label,
        pipeline=[dict(type='mmseg.LoadAnnotations')],
    )
    mapped = dataset[0]['gt_seg_map'].ravel()
    expected = (mapped < len(classes)) | (mapped == 255)
    np.testing.assert_array_equal(MaskRules.of(dataset).accepted, expected)


def test_list(tmp_path):
    path = tmp_path / 'train.txt'
    with pytest.raises(FileNotFoundError, match=f'^list {path} is missing$'):
        read_list(path)
    for content, sentence in (
        (b'', 'is empty; write one image name per line'),
        (b'a\n\nb\n', r'has an empty line \(2\); remove it'),
        (b'\xff\xd8\xff', 'is not text'),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f'^list {path} {sentence}'):
            read_list(path)
    path.write_bytes(b'a \r\nb')
    assert read_list(path) == ['a', 'b']


def test_sample_lists_all_its_problems(tmp_path):
    image = save(tmp_path / 'a.jpg', PIXELS)
    mask = save(tmp_path / 'a.png', np.array([[0, 7, 255, 255]], np.uint8))
    problems, counts = verify_sample(SampleFiles(image, mask), RULES)
    assert problems == [
        f'mask {mask} holds 7, but accepted are 0..2 and 255',
        f'mask {mask} is 4x1 pixels, but its image {image} is 8x6',
    ]
    assert {i: n for i, n in enumerate(counts) if n} == {0: 1, 7: 1, 255: 2}
    problems, counts = verify_sample(SampleFiles('b.jpg', 'b.png'), RULES)
    assert problems == ['image b.jpg is missing', 'mask b.png is missing']
    assert not counts.any()
    assert verify_sample(SampleFiles(image), RULES)[0] == []
    wide = save(tmp_path / 'w.png', np.array([[1, 255, 256, 65535]], np.uint16))
    problems, counts = verify_sample(SampleFiles(wide, wide), RULES)
    assert problems == [f'mask {wide} holds 256, 65535, but accepted are 0..2 and 255']
    assert {i: n for i, n in enumerate(counts) if n} == {1: 1, 255: 1}


def test_many_samples_keep_their_order(tmp_path):
    image = save(tmp_path / 'a.jpg', PIXELS)
    void = save(tmp_path / 'void.png', np.full((6, 8), 255, np.uint8))
    whole = save(tmp_path / 'whole.png', MASK)
    samples = [SampleFiles(image, path) for path in (void, 'x.png', whole, 'y.png') * 5]
    found = verify_samples(samples, RULES)
    assert found.problems == ['mask x.png is missing', 'mask y.png is missing'] * 5
    assert {i: n for i, n in enumerate(found.counts) if n} == {0: 80, 1: 80, 2: 80, 255: 240}
    line = 'train: 20 images, 10 with problems, 50.00% void'
    assert summary('train', found, RULES) == line
    assert summary('train', found, RULES, ['a', 'b']) == f'{line}, no pixel of a, b'
    many = summary('train', found, RULES, [*'abcdefg'])
    assert many == f'{line}, no pixel of a, b, c, d, e and 2 more classes'
    assert summary('none', verify_samples([], RULES), RULES).endswith(' 0.00% void')


def test_void_and_classes_are_those_that_loading_makes(tmp_path):
    """Not those of the file: 0 is void with reduce_zero_label, as are classes not chosen."""
    dataset = small_dataset(tmp_path)
    mask = SampleFiles(str(tmp_path / 'a.jpg'), str(tmp_path / 'a.png'))  # a third is 0, 1, 2 each

    def labels() -> list[int]:
        counts = verify_samples([mask], MaskRules.of(dataset)).counts
        assert set(counts) == {0, 16}
        return np.flatnonzero(counts).tolist()

    assert labels() == [0, 1, 2]
    dataset.label_map = {0: 2, 1: 0, 2: 255}
    assert labels() == [0, 2, 255]
    dataset.label_map, dataset.reduce_zero_label = None, True
    assert labels() == [0, 1, 255]


def test_report(capsys):
    report([])
    with pytest.raises(ValueError, match=r'^2 problems were found'):
        report(['one', 'two'])
    assert capsys.readouterr().out == 'one\ntwo\n'


def small_dataset(folder: Path, *transforms: object) -> BaseSegDataset:
    init_default_scope('mmseg')
    save(folder / 'a.jpg', PIXELS)
    save(folder / 'a.png', MASK)
    load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    metainfo = dict(classes=('a', 'b', 'c'), palette=[[0, 0, 0]] * 3)
    dataset = BaseSegDataset(data_root=str(folder), metainfo=metainfo)
    dataset.pipeline = Compose([*load, *transforms])
    return dataset


def test_checked_pipeline_gives_what_the_pipeline_gives(tmp_path):
    dataset = small_dataset(tmp_path, dict(type='Resize', scale_factor=2.0))
    plain = dataset[0]
    dataset.pipeline = CheckedPipeline(dataset)
    checked = dataset[0]
    assert plain.keys() == checked.keys()
    np.testing.assert_array_equal(checked['img'], plain['img'])
    np.testing.assert_array_equal(checked['gt_seg_map'], plain['gt_seg_map'])
    dataset.pipeline.transforms.append(lambda data: None)  # no sample: draw another, as ever
    assert dataset.prepare_data(0) is None


def test_checked_pipeline_names_the_file_on_which_a_transform_fails(tmp_path):
    def fail(data: dict) -> dict:
        raise RuntimeError('too\nnarrow')

    dataset = small_dataset(tmp_path, fail)
    dataset.pipeline = CheckedPipeline(dataset)
    with pytest.raises(ValueError, match=f'^image {tmp_path}/a.jpg cannot be used: too narrow$'):
        dataset[0]


def test_base_datasets_inside_wrappers(tmp_path):
    first, second = small_dataset(tmp_path), small_dataset(tmp_path)
    assert list(base_datasets(ConcatDataset([first, second]))) == [first, second]
    assert list(base_datasets(RepeatDataset(first, times=2))) == [first]


def test_images_are_read_as_the_pipeline_reads_them(tmp_path):
    """16 bits and four bands, in the check and in the example of an export; grey of one channel."""
    deep = np.random.default_rng(1).integers(0, 60000, (6, 8, 4)).astype(np.uint16)
    path = save_with_opencv(tmp_path / 'a.png', deep)
    loader = LoadImageFromFile(color_type='unchanged')
    np.testing.assert_array_equal(read_image(path, loader), deep)
    assert read_image(path, LoadImageFromFile()).shape == (6, 8, 3)
    rules = MaskRules(3, loader=loader)
    assert verify_sample(SampleFiles(path), rules)[0] == []
    (tmp_path / 'a.png').write_text('a letter')
    sentence = f'image {path} cannot be read by LoadImageFromFile('
    assert verify_sample(SampleFiles(path), rules)[0][0].startswith(sentence)
    grey = save_with_opencv(tmp_path / 'grey.png', MASK)
    np.testing.assert_array_equal(read_image(grey, LoadImageFromFile(color_type='grayscale')), MASK)
    save_with_opencv(tmp_path / 'b.png', deep[..., :3])
    cfg = load_config(str(DEMO))
    cfg.test_dataloader.dataset.pipeline[0].color_type = 'unchanged'
    init_default_scope('mmseg')
    image = example_images(str(tmp_path / 'b.png'), cfg)[0]
    np.testing.assert_array_equal(image[0].permute(1, 2, 0), deep[..., 2::-1])


def save_with_opencv(path: Path, pixels: np.ndarray) -> str:
    cv2.imwrite(str(path), pixels)
    return str(path)
