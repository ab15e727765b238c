# PAC + BAL with a narrow ResNet-18 on generated data, for a CPU. It needs neither data nor network.
# `python tools/demo.py` runs it and draws the pictures; docs/machines.md has its score and time.
_base_ = './_base_/voc.py'

data_root = 'data/synthetic_voc'
crop_size = (112, 144)
max_iters = 600

batch_norm = dict(type='BN', requires_grad=True, momentum=0.1)
num_classes = 7
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        depth=18,
        stem_channels=16,
        base_channels=16,
        strides=(1, 1, 2, 1),  # output stride 8: the objects are small
        dilations=(1, 1, 1, 2),
        multi_grid=None,
        norm_cfg=batch_norm,
    ),
    decode_head=dict(
        _delete_=True,  # ASPPHead's arguments
        type='PACHead',
        in_channels=128,
        in_index=3,
        channels=64,
        rates=(1, 3, 5, 7, 9),
        num_classes=num_classes,
        norm_cfg=batch_norm,
        # The kernel of Table 1 is for images of 500 pixels; these are a third as large.
        loss_decode=dict(type='BoundaryAwareLoss', kernel_size=15, downsample=2, normalize='mean'),
    ),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
dataset = dict(type='SyntheticVOCDataset', data_root=data_root)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        datasets=[
            dict(
                **dataset,
                data_prefix=dict(img_path='JPEGImages', seg_map_path=masks),
                ann_file=f'ImageSets/Segmentation/{names}.txt',
                pipeline=train_pipeline,
            )
            for names, masks in (('train', 'SegmentationClass'), ('aug', 'SegmentationClassAug'))
        ]
    ),
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dataset)
test_dataloader = val_dataloader

optimizer = dict(lr=0.05)
optim_wrapper = dict(optimizer=optimizer)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=200)
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=200, max_keep_ckpts=1))
randomness = dict(seed=0)
