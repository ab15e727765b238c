"""The generated data set: its layout, that it is safe to make, and the cases of section 3.1."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_pacbal.datasets import synthetic_scene
from mmseg_pacbal.datasets.palette import palette_image, voc_colormap
from mmseg_pacbal.datasets.synthetic_scene import CLASSES, PALETTE, render_scene, void_rim
from mmseg_pacbal.openmmlab.datasets import SyntheticVOCDataset, synthetic_voc
from mmseg_pacbal.openmmlab.datasets.synthetic_voc import generate_synthetic_voc
from tests.environments import contents

SMALL = dict(num_train=4, num_val=2, size=(64, 72))
DISK, BOX, RING, BAR, STAR, TRIANGLE = range(1, 7)


def read_list(root: Path, title: str) -> list[str]:
    return (root / 'ImageSets' / 'Segmentation' / f'{title}.txt').read_text().split()


def read_mask(root: Path, folder: str, name: str) -> np.ndarray:
    return np.asarray(Image.open(root / folder / f'{name}.png'))


@pytest.fixture(scope='module')
def labels(demo_data) -> list[np.ndarray]:
    """Crisp labels."""
    names = read_list(demo_data, 'trainaug')
    return [read_mask(demo_data, 'SegmentationClassAug', name) for name in names]


# Layout


def test_colormap_is_that_of_the_devkit():
    colours = voc_colormap()
    assert colours.shape == (256, 3)
    assert colours[:7].tolist() == PALETTE
    assert PALETTE[1:4] == [[128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert PALETTE[4:] == [[0, 0, 128], [128, 0, 128], [0, 128, 128]]
    assert colours[[8, 20, 255]].tolist() == [[64, 0, 0], [0, 64, 128], [224, 224, 192]]
    assert len(CLASSES) == len(PALETTE) == 7


@pytest.mark.parametrize('colours', [1, 2, 3, 16, 17])
def test_values_without_a_colour_survive_a_png(tmp_path, colours):
    label = np.array([[0, 1, 2, 255]])
    palette_image(label, voc_colormap()[:colours]).save(tmp_path / 'label.png')
    with Image.open(tmp_path / 'label.png') as image:
        np.testing.assert_array_equal(image, label)
        assert image.getpalette()[: 3 * colours] == voc_colormap()[:colours].ravel().tolist()


def test_layout(demo_data):
    lists = {title: read_list(demo_data, title) for title in ('train', 'aug', 'val')}
    assert {title: len(names) for title, names in lists.items()} == dict(train=80, aug=80, val=40)
    every = set().union(*lists.values())
    assert len(every) == 200
    assert set(read_list(demo_data, 'trainaug')) == {*lists['train'], *lists['aug']}
    assert read_list(demo_data, 'trainval') == lists['train'] + lists['val']
    expected = dict(
        JPEGImages=('JPEG', 'RGB', every),
        SegmentationClass=('PNG', 'P', {*lists['train'], *lists['val']}),
        SegmentationClassAug=('PNG', 'P', {*lists['train'], *lists['aug']}),
    )
    for folder, (kind, mode, names) in expected.items():
        assert {path.stem for path in (demo_data / folder).iterdir()} == names
        for path in (demo_data / folder).iterdir():
            with Image.open(path) as image:
                assert (image.format, image.mode, image.size) == (kind, mode, (160, 128))
                if mode == 'P':
                    assert image.getpalette() == voc_colormap().ravel().tolist()
                    values = set(np.unique(image).tolist())
                    assert values <= {*range(7), 255} and 0 in values
                    assert (255 in values) == (folder == 'SegmentationClass')


def test_rim_of_a_square_by_hand():
    label = np.zeros((6, 7), np.uint8)
    label[:4, 1:5] = 3
    v = 255
    expected = [
        [v, v, 3, 3, v, v, 0],
        [v, v, 3, 3, v, v, 0],
        [v, v, 3, 3, v, v, 0],
        [v, v, v, v, v, v, 0],
        [0, v, v, v, v, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]
    np.testing.assert_array_equal(void_rim(label), expected)
    assert label.max() == 3


# Determinism and safety


def test_same_seed_same_bytes_and_another_seed_other_bytes(tmp_path):
    one = contents(generate_synthetic_voc(tmp_path / 'one', **SMALL))
    assert contents(generate_synthetic_voc(tmp_path / 'two', **SMALL)) == one
    # 6 images, 2 + 2 masks with rims, 4 without, 5 lists, 1 record
    assert len(one) == 6 + 4 + 4 + 5 + 1
    other = contents(generate_synthetic_voc(tmp_path / 'other', **SMALL, seed=1))
    assert other.keys() == one.keys()
    pictures = [path for path in one if path.endswith(('jpg', 'png'))]
    assert all(other[path] != one[path] for path in pictures)
    more = {**SMALL, 'num_train': 7, 'num_val': 3}
    many = contents(generate_synthetic_voc(tmp_path / 'many', **more))
    assert all(one[path] == many[path] for path in pictures)


def test_scene_of_the_data_set_can_be_rendered_alone(demo_data):
    image, label = render_scene(np.random.default_rng([0, 1, 4]), (128, 160))
    assert (image.dtype, image.shape, label.dtype) == (np.uint8, (128, 160, 3), np.uint8)
    rimmed = read_mask(demo_data, 'SegmentationClass', '2011_000005')
    np.testing.assert_array_equal(rimmed, void_rim(label))
    stored = np.asarray(Image.open(demo_data / 'JPEGImages' / '2011_000005.jpg')).astype(int)
    assert np.abs(stored - image).mean() < 10  # what JPEG loses of noise; another scene: over 30


def test_data_is_made_once(tmp_path):
    root = tmp_path / 'VOC2012'
    settings = dict(
        data_root=str(root),
        generate=SMALL,
        ann_file='ImageSets/Segmentation/val.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
    )
    first = SyntheticVOCDataset(**settings)
    assert (first.metainfo['classes'], first.metainfo['palette']) == (CLASSES, PALETTE)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')}
    assert len(SyntheticVOCDataset(**settings)) == len(first) == SMALL['num_val']
    assert generate_synthetic_voc(str(root), **SMALL) == root
    with pytest.raises(FileExistsError, match=r"holds .*'seed': 0.*, but .*'seed': 1.* is wanted"):
        generate_synthetic_voc(root, **SMALL, seed=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')} == times


@pytest.mark.parametrize('file', ['JPEGImages/mine.jpg', 'synthetic_voc.json', '', None])
def test_what_is_not_ours_is_refused(tmp_path, file):
    """A data set, a record that is none, an ordinary file, an empty folder."""
    root = tmp_path / 'VOC2012'
    if file is None:
        root.mkdir()
    else:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text('mine')
    before = contents(tmp_path)
    with pytest.raises(FileExistsError, match='was not made by generate_synthetic_voc'):
        generate_synthetic_voc(root, **SMALL)
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ['VOC2012']


@pytest.mark.parametrize('error', [KeyboardInterrupt, OSError])
def test_interrupted_run_leaves_nothing(tmp_path, monkeypatch, error):
    sizes = iter([SMALL['size'], SMALL['size']])

    def interrupted(rng, size):
        if next(sizes, None) is None:
            raise error
        return render_scene(rng, size)

    monkeypatch.setattr(synthetic_voc, 'render_scene', interrupted)
    with pytest.raises(error):
        generate_synthetic_voc(tmp_path / 'VOC2012', **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('winner_seed', [0, 1])
def test_slower_of_two_processes_keeps_what_the_faster_made(tmp_path, monkeypatch, winner_seed):
    root = tmp_path / 'VOC2012'
    write = synthetic_voc._write

    def write_and_lose(folder, record):
        write(folder, record)
        monkeypatch.setattr(synthetic_voc, '_write', write)
        generate_synthetic_voc(root, **SMALL, seed=winner_seed)

    monkeypatch.setattr(synthetic_voc, '_write', write_and_lose)
    if winner_seed == 0:
        assert generate_synthetic_voc(root, **SMALL) == root
    else:
        with pytest.raises(FileExistsError, match="'seed': 1"):
            generate_synthetic_voc(root, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ['VOC2012']
    alone = generate_synthetic_voc(tmp_path / 'alone', **SMALL, seed=winner_seed)
    assert contents(root) == contents(alone)


SIZE = 'size must be height and width, each an integer, 64 or more, but got '


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(num_train=1), 'num_train must be an integer, 2 or more, but got 1'),
        (dict(num_val=0), 'num_val must be an integer, 1 or more, but got 0'),
        (dict(size=(63, 72)), rf'{SIZE}\(63, 72\)'),
        (dict(size=(64, 10)), rf'{SIZE}\(64, 10\)'),
        (dict(size=64), f'{SIZE}64'),
        (dict(seed=-1), 'seed must be an integer, 0 or more, but got -1'),
    ],
)
def test_arguments_out_of_range(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        generate_synthetic_voc(tmp_path / 'VOC2012', **{**SMALL, **wrong})
    assert list(tmp_path.iterdir()) == []


# The cases of section 3.1, each in at least an eighth of the scenes


def components(mask: np.ndarray) -> list[np.ndarray]:
    """The 8-connected parts of a boolean (H, W)."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return [parts == part for part in range(1, count)]


def frame(label: np.ndarray) -> np.ndarray:
    return np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]])


def hull(part: np.ndarray) -> np.ndarray:
    return cv2.convexHull(np.argwhere(part)[:, ::-1].astype(np.int32))


def hidden_parts(label: np.ndarray) -> Iterator[int]:
    """Pixels of others in the hull of an object that is convex, so that they occlude it."""
    for class_id in (DISK, BOX, TRIANGLE):
        for part in components(label == class_id):
            filled = cv2.fillConvexPoly(np.zeros_like(label), hull(part), 1)
            yield ((filled > 0) & (label > 0) & (label != class_id)).sum()


def contacts(label: np.ndarray) -> np.ndarray:
    """Lengths of the boundaries between two classes, one for each pair that has one."""
    sides = [(label[:, 1:], label[:, :-1]), (label[1:], label[:-1])]
    pairs = np.concatenate([np.stack([a, b], -1)[(a != b) & (a * b > 0)] for a, b in sides])
    return np.unique(np.sort(pairs, 1), axis=0, return_counts=True)[1]


CASES: dict[str, Callable[[np.ndarray], bool]] = {
    'a hole that reaches no frame': lambda label: any(
        not frame(part).any() for part in components(label != RING)
    ),
    'a star that fills little of its hull': lambda label: any(
        part.sum() > 100 and cv2.contourArea(hull(part)) > 1.3 * part.sum()
        for part in components(label == STAR)
    ),
    'occlusion': lambda label: any(pixels >= 20 for pixels in hidden_parts(label)),
    'contact without occlusion': lambda label: any(0 < n < 8 for n in contacts(label)),
    'cut by the frame': lambda label: (frame(label) > 0).sum() >= 10,
}
CASES |= {
    f'a small {name}': lambda label, index=index: any(
        20 <= part.sum() < 100 for part in components(label == index)
    )
    for index, name in enumerate(CLASSES)
    if index
}


@pytest.mark.parametrize('case', CASES)
def test_case_of_section_3_1(case, labels):
    assert sum(map(CASES[case], labels)) >= len(labels) / 8


def test_every_class_is_common(labels, demo_data):
    assert all(np.mean([(x == c).any() for x in labels]) > 0.5 for c in range(7))
    assert np.mean([len(contacts(label)) > 0 for label in labels]) > 0.5
    names = read_list(demo_data, 'val')  # where void spares a part of every class
    rimmed = [read_mask(demo_data, 'SegmentationClass', name) for name in names]
    assert all(sum((x == c).any() for x in rimmed) > 10 for c in range(7))


def test_thin_objects(labels):
    """A bar is nearly everywhere within 2.2 pixels of its outline, so up to 4 pixels wide."""

    def depth(class_id):
        masks = [(label == class_id).astype(np.uint8) for label in labels]
        return np.concatenate([cv2.distanceTransform(m, cv2.DIST_L2, 5)[m > 0] for m in masks])

    assert (depth(BAR) <= 2.2).mean() > 0.9
    assert (depth(DISK) <= 2.2).mean() < 0.5
    longest = [max(np.ptp(np.argwhere(x == BAR), 0)) for x in labels if (x == BAR).any()]
    assert np.median(longest) > 25


def test_scenes_hold_three_to_seven_objects(monkeypatch):
    patches = []
    paint = synthetic_scene._patch
    monkeypatch.setattr(
        synthetic_scene, '_patch', lambda o: patches.append(paint(o)) or patches[-1]
    )
    counts = set()
    for index in range(40):
        patches.clear()
        label = render_scene(np.random.default_rng(index), (64, 64))[1]
        counts.add(len(patches))
        assert 0 < (label > 0).sum() <= sum(patch.sum() for patch in patches)
    assert counts == {3, 4, 5, 6, 7}


@pytest.mark.parametrize('relation', ['apart', 'touch', 'overlap', 'any'])
@pytest.mark.parametrize('class_id', [DISK, BOX])
def test_centres_against_trying_every_place(relation, class_id):
    """A 3 x 3 patch beside one disk pixel block; a second disk may not come into contact."""
    label = np.zeros((14, 15), np.uint8)
    label[5:9, 6:10] = DISK
    patch = np.pad(np.ones((3, 3), np.uint8), 1)
    expected = []
    for y, x in np.ndindex(label.shape):
        inside = label[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        covered = (inside > 0).sum()
        near = (label[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] > 0).any()
        fits = dict(apart=not near, touch=near and not covered, any=True)
        fits['overlap'] = 0.15 * 9 < covered < 0.7 * 9
        if fits[relation] and inside.size > 4.5 and not (near and class_id == DISK):
            expected.append([y, x])
    centres = synthetic_scene._centres(label, patch, class_id, relation)
    assert centres.tolist() == expected
    assert bool(expected) == (class_id == BOX or relation in ('apart', 'any'))
