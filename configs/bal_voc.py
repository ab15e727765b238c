# Table 3, "DeepLab V3 + BAL".
_base_ = ['./deeplabv3_voc.py', './_base_/bal.py']
model = dict(decode_head=dict(loss_decode=_base_.bal))
