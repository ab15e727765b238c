# Table 2 (PAC): rates 1, 3, 5, 7, 9, summed.
_base_ = '../pac_voc.py'
model = dict(decode_head=dict(rates=(1, 3, 5, 7, 9), merge='sum'))
