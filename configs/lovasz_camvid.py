# The loss that led from scratch at half size (docs/results.md#beside-other-losses), on images of
# the original size; the learning rate is that of the other configs, it has not been searched here.
_base_ = './deeplabv3_camvid.py'
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type='LovaszLoss', reduction='none')))
