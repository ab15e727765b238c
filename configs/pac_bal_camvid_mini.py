# "ResNet + PAC + BAL" of Table 3 on CamVid at half size, with the weights of bal_camvid_mini.py.
_base_ = ['./pac_camvid_mini.py', './_base_/bal.py']
model = dict(
    decode_head=dict(
        loss_decode=dict(
            _delete_=True, **(_base_.bal | dict(downsample=2, beta=1.0)), normalize='mean'
        )
    )
)
