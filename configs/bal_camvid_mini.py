# "DeepLab V3 + BAL" of Table 3 on CamVid at half size: edges are shrunk by 2 rather than 4, so that
# the kernel of 35 covers the same part of the image. This doubles the sum over an edge, hence beta.
_base_ = ['./deeplabv3_camvid_mini.py', './_base_/bal.py']
model = dict(
    decode_head=dict(
        loss_decode=dict(
            _delete_=True, **(_base_.bal | dict(downsample=2, beta=1.0)), normalize='mean'
        )
    )
)
