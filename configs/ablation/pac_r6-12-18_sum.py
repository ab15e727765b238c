# Table 2 (PAC): rates 6, 12, 18, summed.
_base_ = '../pac_{{$DATASET:voc}}.py'
model = dict(decode_head=dict(rates=(6, 12, 18), merge='sum'))
