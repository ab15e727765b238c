# Table 1 (BAL): gaussian kernel of size 35 and sigma 3.0, downsampling 4, beta 0.5.
_base_ = '../bal_voc.py'
model = dict(
    decode_head=dict(
        loss_decode=dict(kernel='gaussian', downsample=4, kernel_size=35, sigma=3.0, beta=0.5)
    )
)
