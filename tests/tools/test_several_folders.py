"""Images of one name in several folders, several data sets, and training without validation."""

import os
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS
from PIL import Image

from mmseg_pacbal import configs
from mmseg_pacbal.apps.visualize import chosen_indices
from mmseg_pacbal.openmmlab.data_checks.samples import CheckedPipeline, common_folder
from mmseg_pacbal.openmmlab.inference import init_inferencer
from mmseg_pacbal.openmmlab.inspection import weigh_sample
from tests.openmmlab.datasets.folder_data import CONFIG, SMALL_MODEL, SMALL_RUN, write_folder
from tests.running import call_tool, failure

# Four names in two subfolders.
NAMES = sorted(f'{city}/{name}' for city in ('bern', 'rome') for name in 'abcd')


@pytest.fixture(scope='module')
def model(tmp_path_factory) -> tuple[Path, Path, Path]:
    """The data, a small config of two data sets in a ConcatDataset for the test, and weights."""
    folder = tmp_path_factory.mktemp('model')
    data = write_folder(folder / 'data', names=NAMES)
    cfg = configs.load_config(str(CONFIG), {'data_root': str(data), **SMALL_MODEL})
    for name in ('train', 'val', 'test'):
        cfg[f'{name}_dataloader'].update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader = cfg.test_dataloader.copy()
    cfg.dump(folder / 'one.py')
    part = cfg.test_dataloader.dataset
    parts = [
        {**part, 'data_prefix': {k: f'{v}/{c}' for k, v in part.data_prefix.items()}}
        for c in ('bern', 'rome')
    ]
    cfg.test_dataloader.dataset = dict(type='ConcatDataset', datasets=parts)
    cfg.dump(folder / 'concat.py')
    torch.manual_seed(0)
    init_default_scope('mmseg')
    cfg.model.decode_head.num_classes = 3
    state = MODELS.build(cfg.model).state_dict()
    torch.save(dict(state_dict=state), folder / 'model.pth')
    return data, folder, folder / 'model.pth'


def predictions(config: Path, weights: Path, data: Path) -> dict[str, np.ndarray]:
    inferencer = init_inferencer(config, weights, device='cpu')
    paths = {name: str(data / f'images/val/{name}.jpg') for name in NAMES}
    return {name: inferencer(path)['predictions'] for name, path in paths.items()}


@pytest.mark.parametrize('kind', ['one', pytest.param('concat', marks=pytest.mark.slow), 'tta'])
def test_each_image_has_its_own_results(kind, model, tmp_path):
    data, folder, weights = model
    config = folder / ('one.py' if kind == 'one' else 'concat.py')
    folders = ['--out', tmp_path / 'out', '--show-dir', tmp_path / 'show']
    options = ['--tta'] if kind == 'tta' else []
    call_tool('test', config, weights, '--work-dir', tmp_path, *folders, *options)
    masks = {
        p.relative_to(tmp_path / 'out').with_suffix('').as_posix(): p
        for p in (tmp_path / 'out').rglob('*.png')
    }
    assert sorted(masks) == NAMES
    shown = sorted(p.name for p in (tmp_path / 'show').rglob('vis_image/*.png'))
    assert shown == [f'test_{name.replace("/", "__")}.jpg_0.png' for name in NAMES]
    if kind != 'tta':
        for name, expected in predictions(config, weights, data).items():
            np.testing.assert_array_equal(np.array(Image.open(masks[name])), expected)


def test_predict_and_visualize_with_several_test_sets(model, tmp_path):
    data, folder, weights = model
    concat = folder / 'concat.py'
    call_tool('predict', concat, weights, data / 'images' / 'val', '--out', tmp_path / 'out')
    assert len([*(tmp_path / 'out' / 'masks').rglob('*.png')]) == 8
    figure = ['--figure', 'qualitative', '--images', 'a', '--out', tmp_path / 'figure.png']
    call_tool('visualize', concat, weights, *figure)
    dataset = DATASETS.build(Config.fromfile(concat).test_dataloader.dataset)
    for names, indices in [(['a'], [0, 4]), (['rome/a', 'b.jpg'], [4, 1, 5])]:
        assert chosen_indices(Namespace(indices=None, images=names), dataset) == indices


def test_pictures_of_equal_names_have_titles_of_their_own(model):
    """As the visualization hook names them."""
    cfg = Config.fromfile(model[1] / 'one.py')
    cfg.model.decode_head.num_classes = 3
    dataset, network = DATASETS.build(cfg.val_dataloader.dataset), MODELS.build(cfg.model)
    dataset.pipeline = CheckedPipeline(dataset)
    titles = [weigh_sample(network, dataset[index]).name for index in range(8)]
    assert titles == [name.replace('/', '__') for name in NAMES]


def test_data_sets_on_two_drives_are_named_below_their_own_folders(model, monkeypatch):
    cfg = Config.fromfile(model[1] / 'concat.py')
    parts = DATASETS.build(cfg.test_dataloader.dataset).datasets
    commonpath = os.path.commonpath

    def of_windows(paths: list[str]) -> str:
        if len(paths) > 1:
            raise ValueError("Paths don't have the same drive")
        return commonpath(paths)

    monkeypatch.setattr(os.path, 'commonpath', of_windows)
    for part in parts:
        part.pipeline = CheckedPipeline(part, common_folder(parts))
    names = [part[0]['data_samples'].img_name for part in parts]
    assert names == ['a.jpg', 'a.jpg']
    outside = CheckedPipeline(parts[0], str(model[1] / 'elsewhere'))
    assert outside(parts[0].get_data_info(1))['data_samples'].img_name == 'b.jpg'


def test_check_says_what_differs_between_data_sets(model, tmp_path, capsys):
    folder = model[1]
    cfg = Config.fromfile(folder / 'one.py')
    part = cfg.train_dataloader.dataset
    other = {**part, 'data_root': str(write_folder(tmp_path / 'other', names=NAMES))}
    (tmp_path / 'other' / 'classes.txt').write_text(
        'background 0 0 0\ntraffic light 1 1 1\ncar 2 2 2'
    )
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[part, other])
    cfg.dump(tmp_path / 'two.py')
    sentence = (
        'train_dataloader: data sets 1 and 2 differ in palette[1], [250, 170, 30] and [1, 1, 1], '
        'so ConcatDataset refuses them; give both the same metainfo=dict(palette=...), or '
        "ignore_keys=['palette'] to the ConcatDataset if that of the first holds"
    )
    out, _ = failure(capsys, 'train', tmp_path / 'two.py', '--check')
    assert f'{sentence}\n' in out
    work = ['--work-dir', tmp_path / 'work']
    assert failure(capsys, 'train', tmp_path / 'two.py', *work)[1] == sentence
    cfg.train_dataloader.dataset.ignore_keys = ['palette']
    cfg.dump(tmp_path / 'two.py')
    call_tool('train', tmp_path / 'two.py', '--check')


def test_training_without_validation(model, tmp_path, capsys):
    none = [f'{name}=None' for name in ('val_dataloader', 'val_cfg', 'val_evaluator')]
    options = ['--cfg-options', *none, *SMALL_RUN, f'data_root={model[0]}']
    options = [o for o in options if not o.startswith('val_dataloader.')]
    call_tool('train', model[1] / 'one.py', '--check', *options)
    assert '8 images, 0 with problems' in capsys.readouterr().out
    call_tool('train', model[1] / 'one.py', '--work-dir', tmp_path, *options)
    assert (tmp_path / 'iter_2.pth').is_file()


def test_masks_of_other_names_are_named_together(model, tmp_path, capsys):
    data = write_folder(tmp_path / 'data', names=NAMES)
    mask = data / 'labels' / 'train' / 'bern' / 'a.png'
    other = mask.rename(mask.with_name('a_seg.png'))
    found = f'mask {mask} is missing', f'mask {other} has no image in {data / "images" / "train"}'
    options = ['--cfg-options', f'data_root={data}']
    out, last = failure(capsys, 'train', model[1] / 'one.py', '--check', *options)
    assert all(f'train_dataloader: {sentence}\n' in out for sentence in found)
    assert last.startswith('2 problems were found')
    _, last = failure(capsys, 'train', model[1] / 'one.py', '--work-dir', tmp_path, *options)
    assert last.startswith(f'train_dataloader: {"; ".join(found)}; complete the data set')
