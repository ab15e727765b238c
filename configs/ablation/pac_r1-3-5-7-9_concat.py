# Table 2 (PAC): rates 1, 3, 5, 7, 9, concatenated and squeezed by a 1x1 convolution.
_base_ = '../pac_voc.py'
model = dict(decode_head=dict(rates=(1, 3, 5, 7, 9), merge='concat'))
