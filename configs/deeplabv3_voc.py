# Table 3, "DeepLab V3": the baseline, ASPP with 256 channels and rates 6, 12, 18.
_base_ = './_base_/voc.py'
