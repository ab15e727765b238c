# "ResNet + PAC" of Table 3 on CamVid at half size.
_base_ = './_base_/camvid_mini.py'
model = dict(
    decode_head=dict(
        _delete_=True,  # ASPPHead's arguments
        type='PACHead',
        in_channels=128,
        in_index=3,
        channels=64,
        rates=(1, 3, 5, 7, 9),
        dropout_ratio=0.1,
        num_classes=_base_.num_classes,
        norm_cfg=_base_.batch_norm,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    )
)
