# "DeepLab V3 + BAL" of Table 3 on CamVid. Its literal weights average about 21, which would act
# as a learning rate 21 times larger: normalize='mean' keeps the scale of plain cross entropy.
_base_ = ['./deeplabv3_camvid.py', './_base_/bal.py']
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, **_base_.bal, normalize='mean')))
