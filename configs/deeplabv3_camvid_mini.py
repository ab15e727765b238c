# The baseline of Table 3 on CamVid at half size.
_base_ = './_base_/camvid_mini.py'
