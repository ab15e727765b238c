# Table 3, "ResNet + PAC + BAL": the main config.
_base_ = ['./pac_voc.py', './_base_/bal.py']
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, **_base_.bal)))
