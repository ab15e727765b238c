# "DeepLab V3 + BAL" of Table 3 on CamVid at half size: the edges are shrunk half as much, so that
# the kernel of 35 covers as much of the image. An edge keeps twice the mass then; so does beta.
_base_ = ['./deeplabv3_camvid_mini.py', './_base_/bal.py']
model = dict(
    decode_head=dict(
        loss_decode=dict(
            _delete_=True, **(_base_.bal | dict(downsample=2, beta=1.0)), normalize='mean'
        )
    )
)
