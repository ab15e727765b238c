# "DeepLab V3 + BAL" of Table 3 on CamVid. Its literal weights are large there and would act as a
# much larger learning rate (docs/boundary_weights.md): normalize='mean' keeps the scale of plain
# cross entropy.
_base_ = ['./deeplabv3_camvid.py', './_base_/bal.py']
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, **_base_.bal, normalize='mean')))
