# The baseline of Table 3 on CamVid with a pretrained EfficientNet-Lite0.
_base_ = './_base_/camvid_lite0.py'
