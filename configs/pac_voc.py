# Table 3, "ResNet + PAC".
_base_ = ['./_base_/voc.py', './_base_/pac.py']
model = dict(
    decode_head=dict(
        _delete_=True,  # ASPPHead's arguments
        **_base_.pac,
        in_channels=2048,
        channels=256,
        num_classes=21,
        norm_cfg=_base_.batch_norm,
    )
)
