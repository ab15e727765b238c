# Table 2 (PAC): rates 6, 12, 18, concatenated and squeezed by a 1x1 convolution.
_base_ = '../pac_voc.py'
model = dict(decode_head=dict(rates=(6, 12, 18), merge='concat'))
