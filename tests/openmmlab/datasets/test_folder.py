"""Your own data: which mask belongs to which image, and what its values or colours mean."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_pacbal.openmmlab.data_checks.files import SampleFiles
from mmseg_pacbal.openmmlab.data_checks.samples import MaskRules, verify_samples
from mmseg_pacbal.openmmlab.datasets import CamVidDataset, FolderDataset
from mmseg_pacbal.openmmlab.datasets.folder_masks import read_folder_mask
from tests.openmmlab.datasets.folder_data import (
    CLASSES,
    COLOURS,
    NAMES,
    VOID_COLOUR,
    in_colours,
    label,
    save_mask,
    write_classes,
    write_folder,
)

VALUE_OF_COLOUR = {tuple(colour): i for i, colour in enumerate(COLOURS.tolist())}
VALUE_OF_COLOUR[VOID_COLOUR] = 255
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadMask'), dict(type='PackSegInputs')]


def build(root: Path, split: str = 'train', **options: object) -> FolderDataset:
    init_default_scope('mmseg')
    prefix = dict(img_path=f'images/{split}', seg_map_path=f'labels/{split}')
    defaults = dict(type='FolderDataset', data_root=str(root), data_prefix=prefix)
    defaults['serialize_data'] = False  # which collects garbage, for seconds
    return DATASETS.build({**defaults, 'pipeline': PIPELINE, **options})


def names(dataset: FolderDataset) -> list[tuple[str, str]]:
    """Names of image and mask of each sample."""
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [(Path(i['img_path']).name, Path(i['seg_map_path']).name) for i in infos]


@pytest.mark.parametrize('kind', ['index', 'palette', 'rgb'])
def test_labels_are_those_that_were_saved(kind, tmp_path):
    dataset = build(write_folder(tmp_path, kind))
    assert len(dataset) == len(NAMES)
    for index in range(len(dataset)):
        sample = dataset[index]['data_samples']
        assert sample.img_path == str(tmp_path / f'images/train/{NAMES[index]}.jpg')
        np.testing.assert_array_equal(sample.gt_sem_seg.data[0], label(index))


def test_classes_and_palette(tmp_path):
    meta = build(write_folder(tmp_path), metainfo=dict(classes=CLASSES)).metainfo
    assert meta['classes'] == CLASSES
    assert meta['palette'] == COLOURS.tolist()
    with pytest.raises(ValueError, match='metainfo names the classes car, but '):
        build(tmp_path, metainfo=dict(classes=('car',)))
    write_classes(tmp_path, colours=False)
    assert build(tmp_path).metainfo['palette'] == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    (tmp_path / 'classes.txt').rename(tmp_path / 'names.txt')
    assert build(tmp_path, classes_file='names.txt').metainfo['classes'] == CLASSES


def test_suffixes_may_differ(tmp_path):
    write_folder(tmp_path)
    images, masks = tmp_path / 'images/train', tmp_path / 'labels/train'
    Image.open(images / 'c.jpg').save(images / 'c.PNG')
    (images / 'c.jpg').unlink()
    save_mask(masks / 'a b.tif', label())
    (masks / 'a b.png').unlink()
    for stray in ('.hidden.jpg', 'Thumbs.db', 'notes.txt'):
        (images / stray).write_text('not an image')
    dataset = build(tmp_path)
    assert names(dataset) == [('a b.jpg', 'a b.tif'), ('c.PNG', 'c.png'), ('d.jpg', 'd.png')]
    np.testing.assert_array_equal(dataset[0]['data_samples'].gt_sem_seg.data[0], label())


@pytest.mark.parametrize(
    ('name', 'hint'),
    [
        ('{}_mask.png', 'rename them, or set seg_map_suffix=_mask.png'),
        ('mask_{}.png', 'rename them'),
    ],
)
def test_masks_of_other_names(name, hint, tmp_path):
    write_folder(tmp_path)
    for path in sorted((tmp_path / 'labels/train').rglob('*.png')):
        path.rename(path.with_name(name.format(path.stem)))
    with pytest.raises(ValueError, match=r'image .*/a b\.jpg and mask .*a b.*\.png, for') as error:
        build(tmp_path)
    assert str(error.value).endswith(f'named like its image except for the suffix: {hint}')
    if 'set' in hint:
        expected = [(f'{Path(n).name}.jpg', f'{Path(n).name}_mask.png') for n in NAMES]
        assert names(build(tmp_path, seg_map_suffix='_mask.png')) == expected


@pytest.mark.parametrize(('folder', 'what'), [('images', 'images'), ('labels', 'masks')])
def test_two_files_of_one_name(folder, what, tmp_path):
    write_folder(tmp_path)
    path = next((tmp_path / folder / 'train').glob('c.*'))
    Image.open(path).save(path.with_suffix('.bmp'))
    found = sorted((path, path.with_suffix('.bmp')))
    with pytest.raises(ValueError, match=r'differ in the suffix only') as error:
        build(tmp_path)
    assert str(error.value).startswith(f'{what} {found[0]} and {found[1]} differ')


def test_files_that_are_image_and_mask_at_once_are_refused(tmp_path):
    root = write_folder(tmp_path)
    sentence = r'a b\.jpg is image and mask at once.* set data_prefix=dict\(img_path='
    with pytest.raises(ValueError, match=sentence):
        FolderDataset(data_root=str(root), pipeline=[])


def test_list_of_names(tmp_path):
    write_folder(tmp_path)
    (tmp_path / 'list.txt').write_text('sub/d\na b\nmissing\n')
    dataset = build(tmp_path, ann_file='list.txt')
    expected = [('d.jpg', 'd.png'), ('a b.jpg', 'a b.png'), ('missing.jpg', 'missing.png')]
    assert names(dataset) == expected


def test_masks_or_images_alone(tmp_path):
    write_folder(tmp_path)
    dataset = build(tmp_path, data_prefix=dict(img_path='images/train'), pipeline=[])
    assert len(dataset) == len(NAMES)
    assert 'seg_map_path' not in dataset.get_data_info(0)
    (tmp_path / 'images/train/c.jpg').unlink()
    assert build(tmp_path).unused_masks == [str(tmp_path / 'labels/train/c.png')]


def test_zero_label_is_reduced_as_by_mmsegmentation(tmp_path):
    write_folder(tmp_path)
    load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    ours = build(tmp_path, reduce_zero_label=True)[0]['data_samples'].gt_sem_seg.data[0]
    theirs = build(tmp_path, reduce_zero_label=True, pipeline=load)[0]['gt_seg_map']
    np.testing.assert_array_equal(ours, theirs)
    assert set(np.unique(ours)) == {0, 1, 255}


def test_samples_are_light(tmp_path):
    """Transforms that mix images copy them, and workers receive them."""
    info = build(write_folder(tmp_path)).get_data_info(0)
    assert copy.deepcopy(info) == info
    assert len(pickle.dumps(info)) < 1000


def test_camvid_is_one_of_these(tmp_path):
    write_folder(tmp_path)
    (tmp_path / 'classes.txt').unlink()
    assert issubclass(CamVidDataset, FolderDataset)
    dataset = build(tmp_path, type='CamVidDataset')
    assert dataset.metainfo['classes'][0] == 'sky'
    np.testing.assert_array_equal(dataset[0]['data_samples'].gt_sem_seg.data[0], label())
    chosen = build(tmp_path, type='CamVidDataset', metainfo=dict(classes=('pole', 'building')))
    mapped = np.select([label() == 1, label() == 2], [1, 0], 255)
    np.testing.assert_array_equal(chosen[0]['data_samples'].gt_sem_seg.data[0], mapped)


# Masks of their own.


def read(path: Path, table: dict | None = None) -> np.ndarray:
    return read_folder_mask(str(path), VALUE_OF_COLOUR if table is None else table)


def refusal(path: Path, table: dict | None = None) -> str:
    with pytest.raises(ValueError) as error:
        read(path, table)
    assert '\n' not in str(error.value)
    return str(error.value)


def test_alpha_counts_where_it_hides_something(tmp_path):
    path, pixels = tmp_path / 'a b.png', in_colours(label())
    opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    Image.fromarray(opaque).save(path)
    np.testing.assert_array_equal(read(path), label())
    opaque[3, 5, 3] = 254
    Image.fromarray(opaque).save(path)
    assert refusal(path) == f'mask {path} has transparent pixels; save it as RGB, without alpha'


def test_unknown_colour_is_named_with_its_place(tmp_path):
    path, pixels = tmp_path / 'a.png', in_colours(label())
    pixels[7, 9:11] = (1, 2, 3)
    Image.fromarray(pixels).save(path)
    assert refusal(path).startswith(
        f'mask {path} holds colour 1 2 3 at x=9, y=7, and 2 of 3072 pixels have none of the 4 '
        'colours in classes.txt; add the colour there'
    )


def test_colours_at_either_end_of_the_table(tmp_path):
    path = tmp_path / 'a.png'
    table = {(255, 255, 255): 0, (0, 0, 0): 1}
    Image.fromarray(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)).save(path)
    assert read(path, table).tolist() == [[1, 0]]
    Image.fromarray(np.array([[[255, 255, 254], [0, 0, 1]]], np.uint8)).save(path)
    assert '2 of 2 pixels' in refusal(path, table)


def test_rgb_needs_colours_in_classes_txt(tmp_path):
    save_mask(tmp_path / 'a.png', label(), 'rgb')
    assert refusal(tmp_path / 'a.png', {}).startswith(
        f'mask {tmp_path}/a.png is an RGB image, but classes.txt gives no colours; add one to each'
    )
    with pytest.raises(ValueError, match='has mode RGB, but a mask has one channel'):
        read_folder_mask(str(tmp_path / 'a.png'), None)


def test_wide_values_are_not_made_labels(tmp_path):
    root = write_folder(tmp_path)
    Image.fromarray(np.full((48, 64), 300, np.uint16)).save(root / 'labels/train/a b.png')
    with pytest.raises(ValueError, match=r'a b\.png holds values beyond 0\.\.255, up to 300; save'):
        build(root)[0]


def test_palette_in_another_order_is_refused(tmp_path):
    """As a tool writes it that turns RGB into a palette image."""
    path = tmp_path / 'a.png'
    image = Image.fromarray(in_colours(label())).convert('P', palette=Image.Palette.ADAPTIVE)
    assert (np.asarray(image) != label()).any()
    image.save(path)
    assert 'in the colour that classes.txt gives to' in refusal(path)
    assert refusal(path).endswith(
        'save it as RGB if its colours count, or remove the colours from classes.txt if its '
        'values count'
    )
    np.testing.assert_array_equal(read(path, {}), np.asarray(image))


def test_values_of_classes_txt_are_the_classes(tmp_path):
    """0 and 255, 0 and 1, and colours of one data set, by both transforms that load masks."""
    root = write_folder(tmp_path)
    (root / 'classes.txt').write_text('ground 0 0 0\nthing 255 255 255 = 1 255\nvoid = 7\n')
    thing, void = label() == 1, label() == 2
    folder = root / 'labels/train'
    save_mask(folder / 'a b.png', np.select([void, thing], [7, 255], 0).astype(np.uint8))
    save_mask(folder / 'c.png', np.select([void, thing], [7, 1], 0).astype(np.uint8))
    white = np.repeat(np.where(thing, 255, 0).astype(np.uint8)[..., None], 3, 2)
    Image.fromarray(white).save(folder / 'sub/d.png')
    load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    ours, theirs = build(root), build(root, pipeline=load)
    expected = np.select([void, thing], [255, 1], 0)
    for index in range(2):
        np.testing.assert_array_equal(ours[index]['data_samples'].gt_sem_seg.data[0], expected)
        np.testing.assert_array_equal(theirs[index]['gt_seg_map'], expected)
    np.testing.assert_array_equal(ours[2]['data_samples'].gt_sem_seg.data[0], thing)
    with pytest.raises(ValueError, match=r'classes\.txt gives values to classes, so reduce_zero'):
        build(root, reduce_zero_label=True)


def test_an_index_that_is_no_value_is_refused(tmp_path):
    root = write_folder(tmp_path)
    (root / 'classes.txt').write_text('ground\nthing = 255\n')
    rules = MaskRules.of(build(root))
    assert np.flatnonzero(rules.accepted).tolist() == [0, 255]
    found = verify_samples(
        [SampleFiles(str(root / 'images/train/c.jpg'), str(root / 'labels/train/c.png'))], rules
    )
    assert found.problems == [
        f'mask {root}/labels/train/c.png holds 1, 2, but accepted are 0 and 255'
    ]


@pytest.mark.parametrize('palette', [[0] * 768, [0, 0, 0, 9, 9, 9, 250, 170, 30, *[7] * 45], None])
def test_palette_that_says_nothing_of_classes(palette, tmp_path):
    """One colour for several values, colours without a class, a palette that ends early."""
    image = Image.fromarray(label())
    if palette:
        image.putpalette(palette)
    image.save(tmp_path / 'a.png')
    np.testing.assert_array_equal(read(tmp_path / 'a.png'), label())


def test_grey_that_is_black_and_white_of_classes_is_refused(tmp_path):
    """0 and 255 of two classes: by its values all of the second would be void."""
    path = tmp_path / 'a.png'
    Image.fromarray(np.where(label() == 1, 255, 0).astype(np.uint8)).save(path)
    table = {(0, 0, 0): 0, (255, 255, 255): 1}
    sentence = f'mask {path} holds value 255 in the colour that classes.txt gives to class 1;'
    assert sentence in refusal(path, table)
    assert "append '= 1 255' to its line if 255 marks it, or remove the colours" in refusal(
        path, table
    )
    assert set(np.unique(read(path))) == {0, 255}
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(path)  # black of a later class says nothing
    assert read(path, {(255, 0, 0): 0, (0, 0, 0): 255}).max() == 0
