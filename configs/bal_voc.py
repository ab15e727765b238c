# Table 3, "DeepLab V3 + BAL".
_base_ = ['./deeplabv3_voc.py', './_base_/bal.py']
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, **_base_.bal)))
