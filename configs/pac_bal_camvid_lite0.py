# "ResNet + PAC + BAL" of Table 3 on CamVid with a pretrained EfficientNet-Lite0, with the weights'
# scale kept as in bal_camvid.py.
_base_ = ['./pac_camvid_lite0.py', './_base_/bal.py']
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, **_base_.bal, normalize='mean')))
