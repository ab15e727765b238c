# CamVid at its original size with an EfficientNet-Lite0, which timm builds (pip install timm).
# tools/convert_lite0.py writes its ImageNet weights; timm can also download its own weights:
# model.backbone.pretrained=True model.backbone.init_cfg=None
_base_ = './camvid.py'

max_iters = 1600
batch_norm = dict(type='SyncBN', requires_grad=True, momentum=0.1)
model = dict(
    data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3),
    backbone=dict(
        _delete_=True,
        type='TIMMBackbone',
        model_name='tf_efficientnet_lite0',
        pretrained=False,
        output_stride=16,
        out_indices=(1, 2, 3, 4),  # 24, 40, 112, 320 channels; the last two at stride 16
        bn_momentum=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='data/tf_efficientnet_lite0.pth'),
    ),
    decode_head=dict(in_channels=320, norm_cfg=batch_norm),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    _base_.random_scale,
    dict(type='RandomCrop', crop_size=_base_.crop_size),
    dict(type='RandomFlip', prob=0.5),
    # Off by default; docs/study_plan.md tries it with probability 1.
    dict(type='RandomApply', prob=0.0, transforms=[dict(type='PhotoMetricDistortion')]),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))

# Pretrained layers learn slowly, new ones five times as fast. Rate and iterations were chosen for
# the baseline alone (docs/study_plan.md, study 2): the largest and the most of those tried.
optimizer = dict(lr=0.02)
optim_wrapper = dict(
    optimizer=optimizer,
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=5.0))),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
custom_hooks = []  # FrozenStatisticsHook goes here
default_hooks = dict(checkpoint=dict(interval=100, max_keep_ckpts=1))
