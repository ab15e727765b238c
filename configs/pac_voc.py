# Table 3, "ResNet + PAC".
_base_ = './_base_/voc.py'
model = dict(
    decode_head=dict(
        _delete_=True,  # ASPPHead's arguments
        type='PACHead',
        in_channels=2048,
        in_index=3,
        channels=256,
        rates=(1, 3, 5, 7, 9),
        dropout_ratio=0.1,
        num_classes=21,
        norm_cfg=_base_.batch_norm,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    )
)
