# Beyond the paper: MMSegmentation's own ResNet-101-D8 DeepLabV3 recipe for VOC, unchanged except
# for head and loss. At output stride 8 all rates double.
_base_ = ['./_base_/runtime.py', './_base_/bal.py']
model = dict(
    decode_head=dict(
        _delete_=True,  # ASPPHead's arguments
        type='PACHead',
        in_channels=2048,
        in_index=3,
        channels=256,
        rates=(2, 6, 10, 14, 18),
        dropout_ratio=0.1,
        num_classes=21,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=_base_.bal,
    )
)
