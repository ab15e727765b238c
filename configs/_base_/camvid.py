# CamVid (11 classes, 480x360) with a ResNet-18 at output stride 16, trained from scratch; set
# model.pretrained to start from pretrained weights.
_base_ = './voc.py'

data_root = 'data/camvid'
crop_size = (321, 321)
max_iters = 8000

# From scratch the statistics change fast: PyTorch's default momentum, not the paper's 0.0003.
batch_norm = dict(type='SyncBN', requires_grad=True, momentum=0.1)
num_classes = 11
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=crop_size),
    backbone=dict(depth=18, multi_grid=None, norm_cfg=batch_norm),
    decode_head=dict(in_channels=512, num_classes=num_classes, norm_cfg=batch_norm),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    _base_.random_scale,
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(
        _delete_=True,
        type='CamVidDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=2,
    dataset=dict(
        _delete_=True,
        type='CamVidDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader

optimizer = dict(lr=0.05)
optim_wrapper = dict(optimizer=optimizer)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=200, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
