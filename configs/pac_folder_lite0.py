# "ResNet + PAC" of Table 3 on your own data with a pretrained EfficientNet-Lite0.
_base_ = ['./_base_/folder_lite0.py', './_base_/pac.py']
model = dict(
    decode_head=dict(
        _delete_=True,  # ASPPHead's arguments
        **_base_.pac,
        in_channels=320,
        channels=256,
        num_classes=_base_.num_classes,
        norm_cfg=_base_.batch_norm,
    )
)
