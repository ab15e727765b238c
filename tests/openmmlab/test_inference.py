"""Prediction from Python, on MMSegmentation's own inferencer."""

from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmseg_pacbal import init_inferencer
from mmseg_pacbal.openmmlab.datasets import CamVidDataset
from mmseg_pacbal.openmmlab.inference import dataset_meta
from tests.environments import ROOT


def test_predictions_are_those_of_mmsegmentation(tiny, tmp_path):
    from mmseg.apis import inference_model, init_model

    config, checkpoint = tiny
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    mmcv.imwrite(image, str(tmp_path / 'a.png'))
    inferencer = init_inferencer(config, checkpoint, device='cpu')
    label = inferencer(str(tmp_path / 'a.png'))['predictions']

    model = init_model(Config.fromfile(config), None, device='cpu')
    model.load_state_dict(torch.load(checkpoint, weights_only=True)['state_dict'])
    model.cfg.test_pipeline = model.cfg.test_dataloader.dataset.pipeline
    expected = inference_model(model, str(tmp_path / 'a.png')).pred_sem_seg.data[0].numpy()
    assert np.array_equal(label, expected)
    assert len(np.unique(label)) > 1
    assert np.array_equal(inferencer(image)['predictions'], expected)

    # A batch of two may be convolved by other kernels than a batch of one: compared with its like.
    pair = [image, image[:, ::-1].copy()]
    both = inferencer(pair, batch_size=2)['predictions']
    expected_pair = [one.pred_sem_seg.data[0].numpy() for one in inference_model(model, pair)]
    assert np.array_equal(both, expected_pair)
    assert not np.array_equal(both[0], both[1])


def test_classes_and_palette_are_the_data_set_s(tiny, tmp_path):
    """The checkpoint has none, so MMSegmentation would take Cityscapes'; the data is not needed."""
    cfg = Config.fromfile(tiny[0])
    cfg.test_dataloader.dataset.data_root = str(tmp_path / 'data')
    before = cfg.pretty_text
    inferencer = init_inferencer(cfg, tiny[1], device='cpu')
    meta = inferencer.model.dataset_meta
    assert meta['classes'][:2] == ('background', 'disk')
    assert len(meta['palette']) == 7
    assert not inferencer.show_progress
    assert not (tmp_path / 'data').exists()
    assert cfg.pretty_text == before
    voc = Config.fromfile(ROOT / 'configs' / 'pac_bal_voc.py')
    assert dataset_meta(voc)['classes'][15] == 'person'


def test_chosen_classes_keep_their_colours():
    dataset = dict(type='CamVidDataset', metainfo=dict(classes=('car', 'sky')))
    meta = dataset_meta(Config(dict(test_dataloader=dict(dataset=dataset))))
    palette = CamVidDataset.METAINFO['palette']
    assert meta['classes'] == ('car', 'sky')
    assert [list(colour) for colour in meta['palette']] == [palette[8], palette[0]]


def test_missing_files_and_checkpoint_of_another_model(tiny, tmp_path):
    config, checkpoint = tiny
    with pytest.raises(FileNotFoundError, match=r'no_such\.py does not exist'):
        init_inferencer('no_such.py', checkpoint)
    with pytest.raises(FileNotFoundError, match=r'none\.pth'):
        init_inferencer(config, tmp_path / 'none.pth')
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    del state['decode_head.conv_seg.bias']
    torch.save(dict(state_dict=state), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=r'other\.pth does not belong to this config: '):
        init_inferencer(config, tmp_path / 'other.pth', device='cpu')


def with_meta(checkpoint: Path, path: Path, meta: object) -> Path:
    """A checkpoint's weights with what a checkpoint says of itself."""
    torch.save(dict(torch.load(checkpoint, weights_only=True), meta=meta), path)
    return path


@pytest.mark.parametrize('value', [None, {}, [], 3, {'classes': None, 'palette': None}])
def test_checkpoint_without_a_data_set(value, tiny, tmp_path):
    for meta in (dict(dataset_meta=value), value):
        path = with_meta(tiny[1], tmp_path / 'model.pth', meta)
        known = init_inferencer(tiny[0], path, device='cpu').model.dataset_meta
        assert known['classes'][:2] == ('background', 'disk')


@pytest.mark.parametrize(
    ('named', 'expected'),
    [
        (dict(classes=[*'abcdefg'], palette=[[i] * 3 for i in range(7)]), None),
        (
            dict(classes=[*'abcdef'], palette=[[i] * 3 for i in range(6)]),
            r'7 classes, .* has 6 \(a',
        ),
        (dict(classes=[*'abcdefg'], palette=[[0, 0, 0]]), 'data_root nowhere does not exist'),
        (None, 'data_root nowhere does not exist'),
    ],
)
def test_classes_of_a_checkpoint_replace_an_absent_file(named, expected, tiny, tmp_path):
    folder = tmp_path / 'folder.py'
    folder.write_text(
        f"_base_ = '{tiny[0]}'\n"
        'pipeline = [dict(type="LoadImageFromFile"), dict(type="PackSegInputs")]\n'
        'test_dataloader = dict(dataset=dict(_delete_=True, type="FolderDataset", '
        'data_root="nowhere", pipeline=pipeline))\n'
    )
    path = with_meta(tiny[1], tmp_path / 'model.pth', dict(dataset_meta=named))
    if expected is None:
        assert init_inferencer(folder, path, device='cpu').model.dataset_meta == named
        return
    with pytest.raises((ValueError, FileNotFoundError), match=expected):
        init_inferencer(folder, path, device='cpu')
