# Table 1 (BAL): gaussian kernel of size 15 and sigma 1.0, downsampling 4, beta 0.3.
_base_ = '../bal_voc.py'
model = dict(
    decode_head=dict(
        loss_decode=dict(kernel='gaussian', downsample=4, kernel_size=15, sigma=1.0, beta=0.3)
    )
)
