# The recipe of camvid_lite0.py on your own data (docs/data.md): set data_root.
_base_ = './camvid_lite0.py'

data_root = 'data/my_data'
num_classes = None  # as many as classes.txt names
model = dict(decode_head=dict(num_classes=num_classes))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadMask'),
    *_base_.train_pipeline[2:],
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
