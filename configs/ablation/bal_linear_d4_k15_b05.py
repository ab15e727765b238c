# Table 1 (BAL): linear kernel of size 15, downsampling 4, beta 0.5.
_base_ = '../bal_voc.py'
model = dict(
    decode_head=dict(loss_decode=dict(kernel='linear', downsample=4, kernel_size=15, beta=0.5))
)
