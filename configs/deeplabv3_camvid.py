# The baseline of Table 3 on CamVid.
_base_ = './_base_/camvid.py'
