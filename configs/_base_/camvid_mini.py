# CamVid at half size with a narrow ResNet-18, which a CPU trains in minutes. Everything keeps its
# size relative to the image: the crop, the feature map (output stride 8 at half size is 16 at full
# size) and, in bal_camvid_mini.py, the boundary weights.
_base_ = './camvid.py'

crop_size = (161, 161)
max_iters = 800

batch_norm = dict(type='SyncBN', requires_grad=True, momentum=0.1)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        stem_channels=16,
        base_channels=16,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        norm_cfg=batch_norm,
    ),
    decode_head=dict(in_channels=128, channels=64, norm_cfg=batch_norm),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomChoice',
        transforms=[
            [dict(type='Resize', scale_factor=0.125 * eighths, keep_ratio=True)]
            for eighths in range(2, 9)
        ],
    ),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
# Labels keep their size: predictions are compared with them at the image's original size.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale_factor=0.5, keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
here = dict(num_workers=0, persistent_workers=False)  # small images: no processes are needed
train_dataloader = dict(**here, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(**here, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# Chosen for the baseline alone: results/learning_rate/camvid_mini is flat from 0.1 to 0.4.
optimizer = dict(lr=0.2)
optim_wrapper = dict(optimizer=optimizer)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(interval=200, max_keep_ckpts=1))
