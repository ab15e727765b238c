# BAL and the Lovász loss together, which led on CamVid with these pretrained features
# (docs/study_records.md#losses-with-pretrained-features), on your own data. They take longer.
_base_ = ['./deeplabv3_folder_lite0.py', './_base_/lovasz_bal.py']
model = dict(decode_head=dict(loss_decode=_base_.lovasz_bal))
