# Table 2 (PAC): rates 6, 12, 18, summed.
_base_ = '../pac_voc.py'
model = dict(decode_head=dict(rates=(6, 12, 18), merge='sum'))
