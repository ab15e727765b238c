"""Every config builds and trains a step; the VOC family says exactly what the spec says."""

import copy
import functools
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import DATASETS, MODELS
from mmseg.structures import SegDataSample

CONFIGS = Path(__file__).resolve().parent.parent / 'configs'
NAMES = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.rglob('*.py')
    if not {'_base_', 'ablation'} & set(path.parts)  # test_ablation.py has the latter
)
# What these leave open follows from data: tests/tools/test_folder_data.py trains them.
OPEN = ['lovasz_folder.py', 'pac_bal_folder.py', 'pac_bal_timm.py']
BASELINE = 'deeplabv3/deeplabv3_r101-d8_4xb4-20k_voc12aug-512x512.py'


def load(name: str) -> Config:
    """A config that the caller may change; parsing takes long, so it is done once."""
    return copy.deepcopy(parse(name))


@functools.cache
def parse(name: str) -> Config:
    return Config.fromfile(CONFIGS / name)


def build(cfg: Config) -> torch.nn.Module:
    init_default_scope('mmseg')
    cfg.model.pretrained = None
    if cfg.model.backbone.type == 'TIMMBackbone':
        pytest.importorskip('timm')
    for norm in ('backbone', 'decode_head', 'auxiliary_head'):
        if 'norm_cfg' in (cfg.model.get(norm) or {}):
            cfg.model[norm].norm_cfg.type = 'BN'  # SyncBN runs on GPUs only
    torch.manual_seed(0)
    return MODELS.build(cfg.model)


def batch(num_classes: int, size: int = 65) -> tuple[torch.Tensor, list[SegDataSample]]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, size, size, generator=generator)
    labels = torch.randint(0, num_classes, (2, 1, size, size), generator=generator)
    labels[:, :, :10] = 255
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    for sample in samples:
        sample.set_metainfo(dict(img_shape=(size, size)))
    return images, samples


@pytest.mark.parametrize('name', [name for name in NAMES if name not in OPEN])
def test_trains_one_step(name):
    cfg = load(name)
    assert cfg.custom_imports.imports == ['mmseg_pacbal']
    cfg.model.decode_head.num_classes = cfg.model.decode_head.num_classes or 4  # of a folder
    model = build(cfg).train()
    images, samples = batch(model.decode_head.num_classes)

    losses = model.loss(images, samples)
    sum(value for key, value in losses.items() if 'loss' in key).backward()

    assert all(torch.isfinite(value).all() for value in losses.values())
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    # Deep in the backbone something arrives.
    weights = [p for p in model.backbone.parameters() if p.dim() == 4]
    assert all(weight.grad.abs().max() > 0 for weight in weights)


@pytest.mark.parametrize('name', ['deeplabv3', 'pac', 'bal', 'pac_bal'])
@pytest.mark.parametrize('dataset', ['voc', 'camvid', 'camvid_lite0'])
def test_rows_of_table_3(name, dataset):
    head = load(f'{name}_{dataset}.py').model.decode_head
    assert (head.channels, head.num_classes) == (256, 21 if dataset == 'voc' else 11)
    if 'pac' in name:
        assert (head.type, head.rates) == ('PACHead', (1, 3, 5, 7, 9))
    else:
        assert (head.type, head.dilations) == ('ASPPHead', (1, 6, 12, 18))
    if 'bal' in name:
        # The best row of Table 1. The paper's weights are literal; CamVid's recipe keeps the scale
        # of cross entropy.
        loss = dict(kernel='gaussian', kernel_size=35, sigma=3.0, beta=0.5, downsample=4)
        loss |= dict(type='BoundaryAwareLoss', normalize=None if dataset == 'voc' else 'mean')
        assert {key: head.loss_decode.get(key) for key in loss} == loss
    else:
        assert head.loss_decode.type == 'CrossEntropyLoss'


@pytest.mark.parametrize('name', ['deeplabv3_voc', 'pac_voc', 'bal_voc', 'pac_bal_voc'])
def test_protocol_of_the_paper(name):
    cfg = load(f'{name}.py')
    sgd = dict(type='SGD', lr=0.007, momentum=0.9, weight_decay=1e-4)
    assert cfg.optim_wrapper.optimizer == sgd
    poly = dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=30000, by_epoch=False)
    assert cfg.param_scheduler == [poly]
    assert (cfg.train_cfg.max_iters, cfg.train_dataloader.batch_size) == (30000, 8)
    assert cfg.model.data_preprocessor.size == (513, 513)
    assert cfg.model.pretrained == 'open-mmlab://resnet101_v1c'
    assert cfg.model.auxiliary_head is None
    backbone = cfg.model.backbone
    assert (backbone.depth, backbone.strides) == (101, (1, 2, 2, 1))
    # DeepLabV3's multi-grid (1, 2, 4) times the dilation of 2
    assert (backbone.dilations, backbone.multi_grid) == ((1, 1, 1, 2), (2, 4, 8))
    for part in (backbone, cfg.model.decode_head):
        assert part.norm_cfg.momentum == pytest.approx(1 - 0.9997)


def test_voc_pipelines():
    cfg = load('pac_bal_voc.py')
    sets = cfg.train_dataloader.dataset.datasets
    lists = [(d.ann_file.rpartition('/')[2], d.data_prefix.seg_map_path) for d in sets]
    assert lists == [('train.txt', 'SegmentationClass'), ('aug.txt', 'SegmentationClassAug')]
    read, pack = ['LoadImageFromFile', 'LoadAnnotations'], ['PackSegInputs']
    for pipeline in (d.pipeline for d in sets):
        types = [step.type for step in pipeline]
        assert types == [*read, 'RandomChoice', 'RandomCrop', 'RandomFlip', *pack]
        factors = [step[0].scale_factor for step in pipeline[2].transforms]
        assert factors == [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]
        assert (pipeline[3].crop_size, pipeline[4].prob) == ((513, 513), 0.5)
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        assert [step.type for step in loader.dataset.pipeline] == [*read, *pack]
        assert loader.dataset.ann_file == 'ImageSets/Segmentation/val.txt'


def test_d8_changes_head_and_loss_only():
    stock = Config.fromfile(Path(mmseg.__file__).parent / '.mim' / 'configs' / BASELINE)
    ours = load('pac_bal_voc_d8.py')
    assert ours.model.decode_head.type == 'PACHead'
    assert ours.model.decode_head.rates == (2, 6, 10, 14, 18)  # stride 8 doubles the rates
    assert ours.model.decode_head.loss_decode.type == 'BoundaryAwareLoss'
    for cfg in (stock, ours):
        cfg.model.pop('decode_head')
    # What runs it is named in _base_/runtime.py.
    assert ours.runner_type == 'CheckedRunner'
    stock.train_cfg.type = 'ResumableTrainLoop'
    stock.train_dataloader.sampler.type = 'SeededSampler'
    stock.default_hooks.checkpoint.type = 'AtomicCheckpointHook'
    stock.default_hooks.logger.type = 'MainProcessLoggerHook'
    stock.default_hooks.curves = dict(type='CurvesHook')
    stock.default_hooks.preemption = dict(type='PreemptionHook')
    same = ('model', 'train_dataloader', 'val_dataloader', 'optim_wrapper', 'param_scheduler')
    for key in (*same, 'train_cfg', 'default_hooks', 'val_evaluator'):
        assert without_scope(ours[key]) == without_scope(stock[key]), key


def without_scope(node: object) -> object:
    """mmengine marks what comes from another package with `_scope_`."""
    if isinstance(node, dict):
        return {key: without_scope(value) for key, value in node.items() if key != '_scope_'}
    return [without_scope(child) for child in node] if isinstance(node, (list, tuple)) else node


def test_camvid_reads_real_data(camvid_root):
    cfg = load('pac_bal_camvid.py')
    init_default_scope('mmseg')
    for loader, images in (('train_dataloader', 367), ('val_dataloader', 101)):
        cfg[loader].dataset.data_root = str(camvid_root)
        dataset = DATASETS.build(cfg[loader].dataset)
        assert len(dataset) == images
    label = dataset[0]['data_samples'].gt_sem_seg.data
    assert label.shape == (1, 360, 480)
    assert set(label.unique().tolist()) <= {*range(11), 255}


def test_pretrained_rows_differ_in_head_and_loss_alone():
    rows = [load(f'{name}_camvid_lite0.py') for name in ('deeplabv3', 'pac', 'bal', 'pac_bal')]
    for cfg in rows:
        head = cfg.model.pop('decode_head')
        assert (head.in_channels, head.in_index, head.channels) == (320, 3, 256)
        assert cfg.to_dict() | dict(bal=None, pac=None) == (
            rows[0].to_dict() | dict(bal=None, pac=None)
        )
    assert cfg.model.data_preprocessor.mean == [127.0, 127.0, 127.0]
    assert cfg.model.data_preprocessor.std == [128.0, 128.0, 128.0]


@pytest.mark.parametrize('probability', [0.0, 1.0])
def test_photometric_distortion_is_a_probability(camvid_root, probability):
    cfg = load('deeplabv3_camvid_lite0.py')
    init_default_scope('mmseg')
    pipeline = cfg.train_dataloader.dataset.pipeline
    assert pipeline[5].type == 'RandomApply'  # as configs/studies/pretrained_*.yml say
    pipeline[5].prob = probability
    cfg.train_dataloader.dataset.data_root = str(camvid_root)
    steps = DATASETS.build(cfg.train_dataloader.dataset).pipeline.transforms
    image = np.full((4, 4, 3), 100, np.uint8)
    np.random.seed(0)
    found = [steps[5](dict(img=image.copy()))['img'] for _ in range(5)]
    assert any((changed != image).any() for changed in found) == bool(probability)


@pytest.fixture
def camvid_root() -> Path:
    root = CONFIGS.parent.parent / 'shared' / 'data' / 'camvid'
    if not root.is_dir():
        pytest.skip('the real CamVid images are not beside this checkout')
    return root
