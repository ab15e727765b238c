# BAL and the Lovász loss together, which gain mIoU over cross entropy with pretrained features
# (docs/study_records.md#on-new-seeds) and take longer.
_base_ = ['./deeplabv3_camvid_lite0.py', './_base_/lovasz_bal.py']
model = dict(decode_head=dict(loss_decode=_base_.lovasz_bal))
