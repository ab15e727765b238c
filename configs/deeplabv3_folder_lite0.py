# The baseline of Table 3 on your own data with a pretrained EfficientNet-Lite0.
_base_ = './_base_/folder_lite0.py'
