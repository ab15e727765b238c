"""What a study's runs read: checked before the first one, and told apart in their records."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_pacbal.apps.study.data import data_of, examine
from mmseg_pacbal.apps.study.plan import Run

NAMES = ('a', 'b')


def write(root: Path, image: bytes = b'image', mask: bytes = b'mask') -> Path:
    for part in ('train', 'val', 'test'):
        for kind, suffix, content in (('images', 'jpg', image), ('labels', 'png', mask)):
            folder = root / kind / part
            folder.mkdir(parents=True)
            for name in NAMES:
                (folder / f'{name}.{suffix}').write_bytes(content)
    return root


def settings(root: Path, **options: object) -> Config:
    def loader(part: str) -> dict:
        prefix = dict(img_path=f'images/{part}', seg_map_path=f'labels/{part}')
        metainfo = dict(classes=('one', 'two'), palette=[[0] * 3] * 2)
        dataset = dict(type='BaseSegDataset', data_root=str(root), data_prefix=prefix)
        return dict(dataset=dict(dataset, metainfo=metainfo, pipeline=[]))

    cfg = Config({f'{part}_dataloader': loader(part) for part in ('train', 'val', 'test')})
    head = dict(type='FCNHead', num_classes=2)
    cfg.model = dict(type='EncoderDecoder', backbone=dict(type='ResNet'), decode_head=head)
    cfg.test_evaluator = [dict(type='IoUMetric')]
    cfg.merge_from_dict(options)
    return cfg


def test_the_same_files_elsewhere_are_the_same_data(tmp_path):
    here, there = (data_of(settings(write(tmp_path / name))) for name in 'ab')
    assert here == there
    assert {name: data['images'] for name, data in here.items()} == dict(train=2, test=2)


@pytest.mark.parametrize('change', ['mask', 'image', 'name', 'one less'])
def test_other_files_are_other_data(change, tmp_path):
    before = data_of(settings(write(tmp_path / 'a')))
    root = write(tmp_path / 'b', **{change: b'drawn anew'} if change in ('mask', 'image') else {})
    for folder in (root / 'images' / 'train', root / 'labels' / 'train'):
        for path in folder.glob('a.*'):
            if change == 'name':
                path.rename(path.with_stem('c'))
            elif change == 'one less':
                path.unlink()
    after = data_of(settings(root))
    assert after['train'] != before['train']
    assert (after['test'] == before['test']) == (change in ('name', 'one less'))


@pytest.mark.parametrize(
    ('option', 'value', 'said'),
    [
        ('test_dataloader.dataset.data_root', 'nowhere', 'test_dataloader: data_root nowhere does'),
        ('val_dataloader.dataset.data_prefix.img_path', 'x', 'val_dataloader: img_path '),
        ('test_evaluator', [dict(type='IoU')], 'IoU is not in the'),
        ('model.decode_head.num_classes', 3, 'model.decode_head.num_classes is 3'),
    ],
)
def test_problems_are_found_before_training(option, value, said, tmp_path):
    write(tmp_path / 'data')
    good, bad = settings(tmp_path / 'data'), settings(tmp_path / 'data', **{option: value})
    runs = [Run('good', 0, good), Run('bad', 0, bad), Run('bad', 1, bad)]
    known = examine(runs)
    assert [run.name for run in known] == [run.name for run in runs]
    assert [run.data for run in known] == [data_of(good), None, None]
    none, problem, same = (run.problem for run in known)
    assert none is None
    assert said in str(problem)
    assert same is problem  # looked at once
