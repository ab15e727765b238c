#!/usr/bin/env bash
# What MMSegmentation's SegTTAModel returns holds the logits and the flip of the last view beside the merged prediction.
#
# Versions:  mmsegmentation 1.2.2, mmengine 0.10.7, mmcv-lite 2.1.0, torch 2.13.0 (CPU)
# Input:     two views of one image, unflipped and flipped: the first is sure of class 0 (logits 4, 0), the second leans
#            to class 1 (logits 0, 1)
# Expected:  a sample whose seg_logits belong to its pred_sem_seg (class 0: the mean probability is 0.63), or none
# Seen:      pred_sem_seg is 0 by the mean, seg_logits are those of the second view, whose argmax is 1, and the
#            sample says that it is flipped
# Matters:   confidence, calibration and any metric or figure that reads seg_logits under --tta describe one view
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q mmsegmentation==1.2.2 mmengine==0.10.7 mmcv-lite==2.1.0 ftfy==6.3.1 regex \
    torch==2.13.0 numpy==2.4.6 opencv-python==5.0.0.93 opencv-python-headless==5.0.0.93 setuptools==80.9.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys
import types

# MMSegmentation imports the compiled operators of full mmcv, of which nothing here is called.
extension = types.ModuleType('mmcv._ext')
extension.__getattr__ = lambda name: None
sys.modules['mmcv._ext'] = extension

import torch
from mmengine.structures import PixelData
from mmseg.models import SegTTAModel
from mmseg.structures import SegDataSample


def view(logits, flip):
    sample = SegDataSample(metainfo=dict(img_path='street.png', flip=flip))
    sample.set_data(dict(seg_logits=PixelData(data=torch.tensor(logits).view(2, 1, 1))))
    return sample


model = types.SimpleNamespace(module=types.SimpleNamespace(out_channels=2))
merged = SegTTAModel.merge_preds(model, [[view([4.0, 0.0], False), view([0.0, 1.0], True)]])[0]
prediction, logits = merged.pred_sem_seg.data.item(), merged.seg_logits.data.flatten().tolist()
print('prediction:', prediction, 'seg_logits:', logits, 'flip:', merged.flip)
assert prediction == 0
assert logits == [0.0, 1.0]
assert merged.flip is True
PYTHON
