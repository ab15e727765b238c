"""Your own data with the tools: trained, checked, labelled, and one sentence on what is wrong."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmseg_pacbal import configs, init_inferencer
from mmseg_pacbal.openmmlab.completion import (
    LOADERS,
    SHIPPED_ROOTS,
    infer_settings,
    load_complete_config,
)
from mmseg_pacbal.openmmlab.data_checks.loaders import examine_data
from mmseg_pacbal.openmmlab.engine import build_runner
from tests.openmmlab.datasets.folder_data import (
    CLASSES,
    COLOURS,
    CONFIG,
    NAMES,
    SMALL,
    SMALL_MODEL,
    arguments,
    label,
    save_mask,
    write_folder,
)
from tests.running import ROOT, STOCK, call_tool, failure, run_tool
from tests.test_configs import load, parse

FOLDER_CONFIGS = sorted(
    {path.name for path in (ROOT / 'configs').glob('*_folder*.py')} | {'pac_bal_timm.py'}
)


@pytest.fixture
def data(tmp_path) -> Path:
    return write_folder(tmp_path / 'my data')


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> tuple[Path, str]:
    """The folder of a run on RGB masks, whose data is gone, and what was printed."""
    root = tmp_path_factory.mktemp('trained')
    data = write_folder(root / 'data', 'rgb')
    with contextlib.redirect_stdout(io.StringIO()) as out:
        call_tool('train', *arguments(data))
    data.rename(root / 'moved')
    return root / 'work', out.getvalue()


def test_classes_follow_into_model_metric_and_pictures(trained):
    work, out = trained
    assert 'config: model.decode_head.num_classes = 3\n' in out
    assert all(re.search(rf'\| +{name} +\|', out) for name in CLASSES)  # the metric's table
    (saved,) = work.glob('pac_bal_folder.py')
    assert Config.fromfile(saved).model.decode_head.num_classes == 3
    checkpoint = torch.load(work / 'iter_2.pth', weights_only=True)
    assert checkpoint['state_dict']['decode_head.conv_seg.weight'].shape[0] == 3
    assert checkpoint['meta']['dataset_meta']['classes'] == CLASSES
    assert checkpoint['meta']['dataset_meta']['palette'] == COLOURS.tolist()


def test_auxiliary_heads_and_wrapped_models_follow(data):
    cfg = configs.load_config(str(CONFIG), {'data_root': str(data)})
    head = dict(type='FCNHead', num_classes=19)
    cfg.model.auxiliary_head = [head, dict(head)]
    infer_settings(cfg)
    assert [head.num_classes for _, head in configs.heads(cfg)] == [3, 3, 3]
    assert [name for name, _ in configs.heads(cfg)][1:] == [
        'model.auxiliary_head.0',
        'model.auxiliary_head.1',
    ]
    cfg.model = dict(type='SegTTAModel', module=cfg.model)
    cfg.model.module.decode_head.num_classes = None
    infer_settings(cfg)
    assert cfg.model.module.decode_head.num_classes == 3


def test_classes_follow_under_other_tools(data):
    """MMSegmentation's own tools/train.py builds the runner that the config names."""
    cfg = configs.load_config(str(CONFIG), {'data_root': str(data)})
    assert cfg.model.decode_head.num_classes is None
    cfg.work_dir = str(data.parent / 'work')
    runner = build_runner(cfg)
    assert runner.model.decode_head.num_classes == 3
    assert runner.cfg.model.decode_head.num_classes == 3  # which is printed and saved


def inheriting(folder: Path, *lines: str) -> Path:
    path = folder / 'mine.py'
    base = "_base_ = __import__('mmseg_pacbal').config('pac_bal_folder.py')"
    path.write_text('\n'.join([base, *lines]) + '\n')
    return path


def test_data_root_of_an_inheriting_config_counts(data, tmp_path, capsys):
    """mmengine copies the inherited value to the data sets before it reads the new one."""
    cfg = configs.load_config(str(inheriting(tmp_path, f'data_root = {str(data)!r}')))
    assert cfg.train_dataloader.dataset.data_root == 'data/my_data'
    infer_settings(cfg)
    places = [d for loader in LOADERS for _, d in configs.datasets(cfg, loader)]
    assert [d.data_root for d in places] == [str(data)] * 3
    assert (
        f'config: train_dataloader.dataset.data_root = {str(data)!r}\n' in capsys.readouterr().out
    )
    cfg = configs.load_config(str(inheriting(tmp_path, "data_root = 'data'")))  # above the shipped
    cfg.model.decode_head.num_classes = 3  # so that classes.txt need not be there
    infer_settings(cfg)
    assert cfg.val_dataloader.dataset.data_root == 'data'
    own = f'train_dataloader = dict(dataset=dict(data_root={str(data)!r}))'
    cfg = configs.load_config(str(inheriting(tmp_path, "data_root = 'elsewhere'", own)))
    cfg.model.decode_head.num_classes = 3
    infer_settings(cfg)
    assert cfg.train_dataloader.dataset.data_root == str(data)
    assert (
        "config: data_root = 'elsewhere' at the top does not reach "
        f'train_dataloader.dataset.data_root, which is {str(data)!r}; set that, and val_'
    ) in capsys.readouterr().out


def test_shipped_roots_are_those_of_the_configs():
    names = [path.name for path in (ROOT / 'configs').glob('*.py')]
    assert {parse(name).data_root for name in names} == SHIPPED_ROOTS


@pytest.mark.slow
def test_data_root_counts_under_mmsegmentation_s_own_tools(data, tmp_path):
    config = inheriting(tmp_path, f'data_root = {str(data)!r}')
    small = [o for o in SMALL if not o.startswith(('crop_size', 'max_iters'))]
    options = ['--work-dir', tmp_path / 'work', '--cfg-options', 'train_cfg.max_iters=1', *small]
    work = tmp_path / 'work'
    # MMSegmentation's test.py does not ask which runner a config names: it takes the saved config.
    for tool, given in [('train', [config]), ('test', [work / 'mine.py', work / 'iter_1.pth'])]:
        result = run_tool(tool, *given, *options, tools=STOCK)
        assert result.returncode == 0, result.stderr[-2000:]
        assert 'mIoU' in result.stdout


def test_other_configs_are_left_as_they_are():
    for name in ('pac_bal_camvid.py', 'pac_bal_voc.py', 'pac_bal_demo.py'):
        cfg = load(name)
        before = cfg.to_dict()
        infer_settings(cfg)
        assert cfg.to_dict() == before, name


def test_different_classes_for_training_and_validation(data):
    other = write_folder(data.parent / 'other', colours=False)
    (other / 'classes.txt').write_text('a\nb\n')
    cfg = configs.load_config(str(CONFIG), {'data_root': str(data)})
    cfg.val_dataloader.dataset.data_root = str(other)
    with pytest.raises(ValueError, match='has the classes background, traffic light, car, but val'):
        infer_settings(cfg)


def test_prediction_needs_no_data(trained, tmp_path, capsys):
    photo = tmp_path / 'holiday photo.png'
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)).save(photo)
    saved, checkpoint = trained[0] / 'pac_bal_folder.py', trained[0] / 'iter_2.pth'
    call_tool('predict', saved, checkpoint, photo, '--out', tmp_path / 'out')
    mask = Image.open(tmp_path / 'out' / 'masks' / 'holiday photo.png')
    assert mask.size == (50, 40)
    assert np.asarray(mask).max() < 3
    assert mask.getpalette('RGB')[:9] == COLOURS.ravel().tolist()
    meta = init_inferencer(saved, checkpoint, 'cpu').model.dataset_meta
    assert tuple(meta['classes']) == CLASSES


def test_prediction_with_the_shipped_config_reads_classes_txt(trained, data, tmp_path):
    state = torch.load(trained[0] / 'iter_2.pth', weights_only=True)['state_dict']
    torch.save(dict(state_dict=state), tmp_path / 'weights.pth')
    cfg = configs.load_config(str(CONFIG), {'data_root': str(data), **SMALL_MODEL})
    model = init_inferencer(cfg, tmp_path / 'weights.pth', 'cpu').model
    assert model.dataset_meta == dict(classes=CLASSES, palette=COLOURS.tolist())


def test_test_tool_and_figure(trained, data, tmp_path, capsys):
    work = ('--work-dir', tmp_path / 'test')
    config, checkpoint = trained[0] / 'pac_bal_folder.py', trained[0] / 'iter_2.pth'
    options = ('--cfg-options', f'data_root={data}')
    call_tool('test', config, checkpoint, *work, *options)
    assert 'mIoU' in capsys.readouterr().out
    figure = ('--figure', 'weights', '--out', tmp_path / 'weights.png', '--images', 'a b')
    call_tool('visualize', config, *figure, *options)
    assert (tmp_path / 'weights.png').is_file()
    mask = data / 'labels' / 'val' / 'c.png'
    Image.fromarray(np.full((48, 64, 3), 9, np.uint8)).save(mask)
    sentence = failure(capsys, 'test', config, checkpoint, *work, *options)[1]
    assert sentence.startswith(f'mask {mask} holds colour 9 9 9 at x=0, y=0')


@pytest.mark.parametrize('name', FOLDER_CONFIGS)
def test_every_config_reads_each_split_and_its_masks(name):
    cfg = parse(name)
    for split in ('train', 'val', 'test'):
        ((_, dataset),) = configs.datasets(cfg, f'{split}_dataloader')
        folder = 'train' if split == 'train' else 'val'
        prefix = dict(img_path=f'images/{folder}', seg_map_path=f'labels/{folder}')
        assert (dataset.type, dataset.data_prefix) == ('FolderDataset', prefix)
        loaded = [step.type for step in dataset.pipeline]
        assert loaded[1] == 'LoadMask' and 'LoadAnnotations' not in loaded
    assert 'LoadAnnotations' not in str(cfg.tta_pipeline)


@pytest.mark.parametrize('kind', ['rgb', 'absent classes'])
def test_check_of_sound_data(kind, capsys, tmp_path):
    """Modes that loading turns into colour are no fault; nothing is written."""
    data = write_folder(tmp_path / 'data', 'rgb')
    for name, mode in (('a b', 'L'), ('c', 'CMYK')):
        image = data / 'images' / 'train' / f'{name}.jpg'
        Image.open(image).convert(mode).save(image)
    void, absent = np.mean([label(seed) == 255 for seed in range(3)]), ''
    if kind == 'absent classes':
        void, absent = np.mean(label() == 1), ', no pixel of traffic light, car'
        for path in sorted((data / 'labels').rglob('*.png')):
            save_mask(path, np.where(label() == 1, 255, 0).astype(np.uint8))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')}
    call_tool('train', *arguments(data, '--check'))
    out = capsys.readouterr().out
    for split in ('train', 'val'):
        line = f'{split}_dataloader, {data}/images/{split}: 3 images, 0 with problems, '
        assert f'{line}{void:.2%} void{absent}\n' in out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')} == before
    assert out.splitlines()[-1] == (
        'No problem found: the model, 3 classes, 3 images of train_dataloader and '
        '3 images of val_dataloader'
    )
    ours = out.splitlines()[-2]  # but not data_root, which our runner copies there, too
    assert ours.startswith("only with our tools, not with MMSegmentation's own: ")
    assert ours.removesuffix(
        'model.data_preprocessor.size, train_dataloader.dataset.pipeline.3.crop_size, '
        'param_scheduler.1.end, train_cfg.max_iters'
    ).endswith(('own: ', 'the base mmseg::..., '))


def test_one_of_two_classes_that_never_occurs_is_a_problem(data, capsys):
    """As masks of 0 and 255 are read, which scikit-image and brushes of annotation tools write."""
    (data / 'classes.txt').write_text('background\nobject\n')
    for path in sorted((data / 'labels').rglob('*.png')):
        save_mask(path, np.where(label() == 1, 255, 0).astype(np.uint8))
    out, last = failure(capsys, 'train', *arguments(data, '--check'))
    assert (
        f'train_dataloader: no mask of {data}/images/train marks object, one of two classes; if '
        "255 marks object there, append '= 1 255' to its line in classes.txt; if it is void, add a "
        "last line 'void = 255'\n"
    ) in out
    assert last.startswith('2 problems were found')
    (data / 'classes.txt').write_text('background\nobject = 1 255\n')  # what it said
    call_tool('train', *arguments(data, '--check'))
    assert ' 0.00% void\n' in capsys.readouterr().out


ZERO, ONE, BOTH, RIM = [0], [0, 1], [0, 255], [0, 1, 255]
TWO, THREE = 'background\nobject\n', 'background\nobject\nother\n'
COLOURED = 'background 0 0 0\nobject 9 9 9\nvoid 5 5 5\n'


@pytest.mark.parametrize(
    ('train', 'val', 'classes', 'count', 'is_problem'),
    [
        ([ONE, BOTH, BOTH], [ONE], TWO, '2 of 3', True),
        ([ONE, [255], BOTH], [ONE], TWO, '2 of 3', True),  # the object fills the picture
        ([ONE, ONE, BOTH], [ONE], THREE, '1 of 3', True),
        ([BOTH, BOTH, BOTH], [ONE], THREE, '3 of 3', True),
        ([RIM, ONE, BOTH], [ONE], TWO, '1 of 3', False),  # void is used
        ([ONE, ONE, BOTH], [RIM], TWO, '1 of 3', False),  # in the other folder
        ([ONE, ONE, BOTH], [ONE], COLOURED, '1 of 3', False),
        ([ONE, ONE, BOTH], [ONE], f'{TWO}void = 255\n', None, False),
        ([ONE, BOTH, BOTH], [ONE], 'background\nobject = 1 255\n', None, False),
        ([RIM, ONE, ZERO], [RIM], TWO, None, False),
    ],
    ids=str,
)
def test_masks_of_0_and_255_among_others(train, val, classes, count, is_problem, data, capsys):
    """The object of the 0/255 masks would be void; the others show what class it is."""
    (data / 'classes.txt').write_text(classes)
    for split, kinds in (('train', train), ('val', val * 3)):
        for name, values in zip(NAMES, kinds, strict=True):
            mask = np.resize(np.array(values, np.uint8), (48, 64))
            save_mask(data / 'labels' / split / f'{name}.png', mask)
    cfg = load_complete_config(str(CONFIG), {'data_root': str(data)})
    problems, _ = examine_data(cfg, 'train_dataloader', 'val_dataloader')
    out = '\n'.join([*problems, capsys.readouterr().out])
    first = next((n for n, values in zip(NAMES, train, strict=True) if 1 not in values), '')
    sentence = (
        f'train_dataloader: {count} masks, {data}/labels/train/{first}.png the first, hold 255, '
        'which is void, and no class but at most background; if 255 marks object'
    )
    assert (sentence in out) == (count is not None)
    assert ('which is void' in out) == (count is not None)
    assert ("append '= 1 255' to its line in classes.txt; if it is void, add a last" in out) == (
        count is not None
    )
    assert bool(problems) == is_problem


def test_check_looks_for_the_weights_that_a_config_names(data, capsys):
    backbone = dict(type='Pretrained', checkpoint='nowhere/weights.pth')
    config = inheriting(
        data.parent,
        f'data_root = {str(data)!r}',
        f'model = dict(backbone=dict(init_cfg={backbone}))',
    )
    small = ('--cfg-options', *SMALL)
    out, last = failure(capsys, 'train', config, '--check', *small)
    assert (
        'backbone starts from nowhere/weights.pth, but there is no such file; set the path of its'
    ) in out
    assert 'val_dataloader, ' in out and last.startswith('1 problem was found, listed above')
