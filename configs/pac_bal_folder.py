# PAC + BAL on your own data, without writing a class: images/{train,val}, labels/{train,val}
# and classes.txt below data_root (docs/data.md). The recipe is CamVid's, from scratch.
_base_ = './pac_bal_camvid.py'

data_root = 'data/my_data'
model = dict(decode_head=dict(num_classes=None))  # as many as classes.txt names

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadMask'),
    _base_.random_scale,
    dict(type='RandomCrop', crop_size=_base_.crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadMask'),
    dict(type='PackSegInputs'),
]
# As in MMSegmentation, except for the masks.
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            *_base_.tta_pipeline[1].transforms[:2],
            [dict(type='LoadMask')],
            [dict(type='PackSegInputs')],
        ],
    ),
]
folder = dict(type='FolderDataset', data_root=data_root)
train_dataloader = dict(dataset=dict(**folder, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**folder, pipeline=test_pipeline))
test_dataloader = val_dataloader
