"""The generated data set: its layout, that it is safe to make, and the cases of section 3.1."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_pacbal.datasets import synthetic_scene
from mmseg_pacbal.datasets.palette import voc_colormap
from mmseg_pacbal.datasets.synthetic_scene import (
    CLASSES,
    PALETTE,
    render_scene,
    void_rim,
)
from mmseg_pacbal.openmmlab.datasets import SyntheticVOCDataset, synthetic_voc
from mmseg_pacbal.openmmlab.datasets.synthetic_voc import generate_synthetic_voc

SMALL = dict(num_train=4, num_val=2, size=(64, 72))
DISK, BOX, RING, BAR, STAR, TRIANGLE = range(1, 7)


def read_list(root, title):
    return (root / 'ImageSets' / 'Segmentation' / f'{title}.txt').read_text().split()


def read_mask(root, folder, name):
    return np.asarray(Image.open(root / folder / f'{name}.png'))


def snapshot(folder):
    files = (path for path in folder.rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def components(mask):
    """Yield the 8-connected parts of a boolean (H, W)."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return [parts == part for part in range(1, count)]


@pytest.fixture(scope='module')
def labels(demo_data):
    """Crisp labels."""
    return [
        read_mask(demo_data, 'SegmentationClassAug', n) for n in read_list(demo_data, 'trainaug')
    ]


# Layout


def test_colormap_is_that_of_the_devkit():
    colours = voc_colormap()
    assert colours.shape == (256, 3)
    assert colours[[0, 1, 2, 3, 4, 5, 6]].tolist() == PALETTE
    assert PALETTE[1:4] == [[128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert PALETTE[4:] == [[0, 0, 128], [128, 0, 128], [0, 128, 128]]
    assert colours[[8, 20, 255]].tolist() == [[64, 0, 0], [0, 64, 128], [224, 224, 192]]
    assert len(CLASSES) == len(PALETTE) == 7


def test_lists_are_disjoint_and_complete(demo_data):
    lists = {title: read_list(demo_data, title) for title in ('train', 'aug', 'val')}
    assert {title: len(names) for title, names in lists.items()} == dict(train=80, aug=80, val=40)
    assert len(set().union(*lists.values())) == 200
    assert set(read_list(demo_data, 'trainaug')) == {*lists['train'], *lists['aug']}
    assert read_list(demo_data, 'trainval') == lists['train'] + lists['val']
    stems = {path.stem for path in (demo_data / 'JPEGImages').glob('*.jpg')}
    assert stems == set().union(*lists.values())


def test_images_are_rgb_jpegs_of_the_size(demo_data):
    for path in (demo_data / 'JPEGImages').iterdir():
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ('JPEG', 'RGB', (160, 128))


@pytest.mark.parametrize(
    ('folder', 'titles', 'void'),
    [('SegmentationClass', ('train', 'val'), True), ('SegmentationClassAug', ('trainaug',), False)],
)
def test_masks_are_palette_pngs_with_void_where_promised(demo_data, folder, titles, void):
    names = {name for title in titles for name in read_list(demo_data, title)}
    assert {path.stem for path in (demo_data / folder).iterdir()} == names
    for name in names:
        with Image.open(demo_data / folder / f'{name}.png') as picture:
            assert (picture.format, picture.mode, picture.size) == ('PNG', 'P', (160, 128))
            assert picture.getpalette() == voc_colormap().ravel().tolist()
            values = set(np.unique(picture).tolist())
        assert values <= {*range(7), 255} and 0 in values
        assert (255 in values) == void


def test_rim_covers_outlines_and_nothing_else(demo_data):
    for name in read_list(demo_data, 'train'):
        rimmed = read_mask(demo_data, 'SegmentationClass', name)
        crisp = read_mask(demo_data, 'SegmentationClassAug', name)
        void = rimmed == 255
        np.testing.assert_array_equal(rimmed[~void], crisp[~void])
        differs = np.zeros_like(void)
        across, down = crisp[:, 1:] != crisp[:, :-1], crisp[1:] != crisp[:-1]
        differs[:, 1:] |= across
        differs[:, :-1] |= across
        differs[1:] |= down
        differs[:-1] |= down
        np.testing.assert_array_equal(void, differs)


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
    one = snapshot(generate_synthetic_voc(tmp_path / 'one', **SMALL))
    two = snapshot(generate_synthetic_voc(tmp_path / 'two', **SMALL))
    assert one == two
    # 6 images, 2 + 2 masks with rims, 4 without, 5 lists, 1 record
    assert len(one) == 6 + 4 + 4 + 5 + 1
    other = snapshot(generate_synthetic_voc(tmp_path / 'other', **SMALL, seed=1))
    assert other.keys() == one.keys()
    pictures = [path for path in one if path.endswith(('jpg', 'png'))]
    assert all(other[path] != one[path] for path in pictures)
    more = {**SMALL, 'num_train': 7, 'num_val': 3}
    many = snapshot(generate_synthetic_voc(tmp_path / 'many', **more))
    assert all(one[path] == many[path] for path in pictures)


def test_scene_of_the_data_set_can_be_rendered_alone(demo_data):
    image, label = render_scene(np.random.default_rng([0, 1, 4]), (128, 160))
    assert (image.dtype, image.shape, label.dtype) == (np.uint8, (128, 160, 3), np.uint8)
    np.testing.assert_array_equal(
        read_mask(demo_data, 'SegmentationClass', '2011_000005'), void_rim(label)
    )
    stored = np.asarray(Image.open(demo_data / 'JPEGImages' / '2011_000005.jpg')).astype(int)
    assert np.abs(stored - image).mean() < 10  # what JPEG loses of noise; another scene: over 30


def test_second_call_touches_nothing(tmp_path):
    root = generate_synthetic_voc(tmp_path / 'VOC2012', **SMALL)
    times = {path: path.stat().st_mtime_ns for path in [root, *root.rglob('*')]}
    assert generate_synthetic_voc(str(root), **SMALL) == root
    with pytest.raises(FileExistsError, match=r"holds .*'seed': 0.*, but .*'seed': 1.* is wanted"):
        generate_synthetic_voc(root, **SMALL, seed=1)
    assert {path: path.stat().st_mtime_ns for path in [root, *root.rglob('*')]} == times


@pytest.mark.parametrize('file', ['JPEGImages/mine.jpg', 'synthetic_voc.json', '', None])
def test_what_is_not_ours_is_refused(tmp_path, file):
    """A data set, a record that is none, an ordinary file, an empty folder."""
    root = tmp_path / 'VOC2012'
    if file is None:
        root.mkdir()
    else:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text('mine')
    before = snapshot(tmp_path)
    with pytest.raises(FileExistsError, match='was not made by generate_synthetic_voc'):
        generate_synthetic_voc(root, **SMALL)
    assert snapshot(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ['VOC2012']


@pytest.mark.parametrize('error', [KeyboardInterrupt, OSError])
def test_interrupted_run_leaves_nothing(tmp_path, monkeypatch, error):
    calls = []

    def interrupted(rng, size):
        calls.append(size)
        if len(calls) == 3:
            raise error
        return render_scene(rng, size)

    monkeypatch.setattr(synthetic_voc, 'render_scene', interrupted)
    with pytest.raises(error):
        generate_synthetic_voc(tmp_path / 'VOC2012', **SMALL)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert len(read_list(generate_synthetic_voc(tmp_path / 'VOC2012', **SMALL), 'val')) == 2


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
    assert snapshot(root) == snapshot(alone)


SIZE = 'size must be height and width, each an integer, 64 or more'


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(num_train=1), 'num_train must be an integer, 2 or more, but got 1'),
        (dict(num_val=0), 'num_val must be an integer, 1 or more, but got 0'),
        (dict(size=(63, 72)), rf'{SIZE}, but got \(63, 72\)'),
        (dict(size=(64, 10)), rf'{SIZE}, but got \(64, 10\)'),
        (dict(size=64), f'{SIZE}, but got 64'),
        (dict(seed=-1), 'seed must be an integer, 0 or more, but got -1'),
    ],
)
def test_arguments_out_of_range(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        generate_synthetic_voc(tmp_path / 'VOC2012', **{**SMALL, **wrong})
    assert list(tmp_path.iterdir()) == []


# The cases of section 3.1, each in at least an eighth of the scenes


def test_every_class_is_common(labels):
    for class_id in range(7):
        assert sum((label == class_id).any() for label in labels) > len(labels) / 2


def test_void_spares_a_part_of_every_class(demo_data):
    masks = [
        read_mask(demo_data, 'SegmentationClass', name) for name in read_list(demo_data, 'val')
    ]
    for class_id in range(7):
        assert sum((mask == class_id).any() for mask in masks) > 10


def test_small_objects(labels):
    for class_id in range(1, 7):
        parts = [part.sum() for label in labels for part in components(label == class_id)]
        assert sum(20 <= area < 100 for area in parts) >= len(labels) / 8


def test_thin_objects(labels):
    """A bar is nearly everywhere within 2.2 pixels of its outline, so up to 4 pixels wide."""

    def depth(class_id):
        masks = [(label == class_id).astype(np.uint8) for label in labels]
        return np.concatenate([cv2.distanceTransform(m, cv2.DIST_L2, 5)[m > 0] for m in masks])

    assert (depth(BAR) <= 2.2).mean() > 0.9
    assert (depth(DISK) <= 2.2).mean() < 0.5
    longest = [max(np.ptp(np.argwhere(x == BAR), 0)) for x in labels if (x == BAR).any()]
    assert np.median(longest) > 25


def test_complicated_objects(labels):
    """Rings enclose a hole that reaches no frame; stars fill little of their convex hull."""
    holes, hollow = 0, 0
    for label in labels:
        parts = components(label != RING)
        edges = [np.concatenate([p[0], p[-1], p[:, 0], p[:, -1]]).any() for p in parts]
        holes += not all(edges)
        for part in components(label == STAR):
            hull = cv2.convexHull(np.argwhere(part)[:, ::-1].astype(np.int32))
            hollow += part.sum() > 100 and cv2.contourArea(hull) > 1.3 * part.sum()
    assert holes >= len(labels) / 8
    assert hollow >= len(labels) / 8


def test_overlapped_objects(labels):
    """Disks, boxes and triangles are convex: another object inside their hull occludes them."""
    occluded = 0
    for label in labels:
        for class_id in (DISK, BOX, TRIANGLE):
            for part in components(label == class_id):
                hull = np.zeros_like(label)
                corners = cv2.convexHull(np.argwhere(part)[:, ::-1].astype(np.int32))
                cv2.fillConvexPoly(hull, corners, 1)
                hidden = (hull > 0) & (label > 0) & (label != class_id)
                occluded += hidden.sum() >= 20
    assert occluded >= len(labels) / 8


def test_touching_objects(labels):
    """Different classes share a boundary, and in some scenes without either hiding the other."""

    def contacts(label):
        """Lengths of the boundaries between two classes, one for each pair that has one."""
        sides = [(label[:, 1:], label[:, :-1]), (label[1:], label[:-1])]
        pairs = np.concatenate([np.stack([a, b], -1)[(a != b) & (a * b > 0)] for a, b in sides])
        return np.unique(np.sort(pairs, 1), axis=0, return_counts=True)[1]

    lengths = [contacts(label) for label in labels]
    assert np.mean([len(each) > 0 for each in lengths]) > 0.5
    assert np.mean([((each > 0) & (each < 8)).any() for each in lengths]) > 1 / 8


def test_objects_cut_by_the_frame(labels):
    cut = 0
    for label in labels:
        frame = np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]])
        cut += (frame > 0).sum() >= 10
    assert cut >= len(labels) / 8


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


def test_dataset_makes_its_data_once(tmp_path):
    settings = dict(
        data_root=str(tmp_path / 'VOC2012'),
        generate=SMALL,
        ann_file='ImageSets/Segmentation/val.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
    )
    first = SyntheticVOCDataset(**settings)
    before = snapshot(tmp_path)
    assert len(SyntheticVOCDataset(**settings)) == len(first) == SMALL['num_val']
    assert snapshot(tmp_path) == before
    assert (first.metainfo['classes'], first.metainfo['palette']) == (CLASSES, PALETTE)
