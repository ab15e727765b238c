# The paper's protocol (section 4) on MMSegmentation's DeepLabV3 for VOC 2012 + SBD.
_base_ = './runtime.py'

data_root = 'data/VOCdevkit/VOC2012'
crop_size = (513, 513)
max_iters = 30000

# Batch norm decay 0.9997 is PyTorch's momentum 0.0003.
batch_norm = dict(type='SyncBN', requires_grad=True, momentum=0.0003)
# DeepLabV3's multi-grid (1, 2, 4) multiplies the stage's dilation, 2 at output stride 16;
# MMSegmentation's multi_grid takes the dilations themselves.
multi_grid = tuple(2 * unit for unit in (1, 2, 4))
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        multi_grid=multi_grid,
        contract_dilation=False,
        norm_cfg=batch_norm,
    ),
    decode_head=dict(channels=256, dilations=(1, 6, 12, 18), norm_cfg=batch_norm),
    auxiliary_head=None,
)

random_scale = dict(
    type='RandomChoice',
    transforms=[
        [dict(type='Resize', scale_factor=0.25 * quarters, keep_ratio=True)]
        for quarters in range(2, 9)
    ],
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    random_scale,
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),  # the data preprocessor pads, with the mean colour and void
]
# Whole images at their original size.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=8,  # on each of 2 GPUs
    dataset=dict(
        datasets=[
            dict(
                type='PascalVOCDataset',
                data_root=data_root,
                data_prefix=dict(img_path='JPEGImages', seg_map_path=masks),
                ann_file=f'ImageSets/Segmentation/{names}.txt',
                pipeline=train_pipeline,
            )
            for names, masks in (('train', 'SegmentationClass'), ('aug', 'SegmentationClassAug'))
        ]
    ),
)
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader

# The printed initial rate is cut off ("0.00"); 0.007 is that of DeepLabV3, which the paper follows.
optimizer = dict(type='SGD', lr=0.007, momentum=0.9, weight_decay=1e-4)
optim_wrapper = dict(optimizer=optimizer)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=3000)
default_hooks = dict(checkpoint=dict(interval=3000, max_keep_ckpts=3, save_best='mIoU'))

# To watch weights, loss and predictions in TensorBoard (or W&B: WandbVisBackend), in your config:
# visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
# custom_hooks = [dict(type='BoundaryVisualizationHook', interval=500)]
