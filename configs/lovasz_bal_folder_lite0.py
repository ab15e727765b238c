# BAL and the Lovász loss together on your own data. They take longer, and led with these pretrained
# features on CamVid and on photographs of clothes (docs/study_records.md#clothes).
_base_ = ['./deeplabv3_folder_lite0.py', './_base_/lovasz_bal.py']
model = dict(decode_head=dict(loss_decode=_base_.lovasz_bal))
