# "DeepLab V3 + BAL" of Table 3 on your own data with a pretrained EfficientNet-Lite0, with the
# scale of the weights kept as in bal_camvid.py.
_base_ = ['./deeplabv3_folder_lite0.py', './_base_/bal.py']
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, **_base_.bal, normalize='mean')))
