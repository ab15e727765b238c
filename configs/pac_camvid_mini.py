# "ResNet + PAC" of Table 3 on CamVid at half size.
_base_ = ['./_base_/camvid_mini.py', './_base_/pac.py']
model = dict(
    decode_head=dict(
        _delete_=True,  # ASPPHead's arguments
        **_base_.pac,
        in_channels=128,
        channels=64,
        num_classes=_base_.num_classes,
        norm_cfg=_base_.batch_norm,
    )
)
