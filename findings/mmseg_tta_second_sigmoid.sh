#!/usr/bin/env bash
# MMSegmentation's SegTTAModel applies a sigmoid to what is a probability already, with one output channel.
#
# Versions:  mmsegmentation 1.2.2, mmengine 0.10.7, mmcv-lite 2.1.0, torch 2.13.0 (CPU)
# Input:     one view of an image whose pixels have probabilities 0.01, 0.29, 0.31 and 0.99 of the object, as
#            EncoderDecoder.postprocess_result leaves them (it takes the sigmoid itself); out_channels=1, threshold 0.3
# Expected:  with a single view the prediction is the one without augmentation: object where the probability is above 0.3
# Seen:      object everywhere: the sigmoid of a probability is at least 0.5
# Matters:   mIoU under --tta collapses for every binary model with one channel
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
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample

probabilities = torch.tensor([[0.01, 0.29, 0.31, 0.99]])
logits = probabilities.logit()[None, None]
head = types.SimpleNamespace(threshold=0.3)
model = types.SimpleNamespace(out_channels=1, decode_head=head, align_corners=False)
view = EncoderDecoder.postprocess_result(model, logits)[0]
view.set_metainfo(dict(img_path='street.png'))
plain = view.pred_sem_seg.data.flatten().tolist()
merged = SegTTAModel.merge_preds(types.SimpleNamespace(module=model), [[view]])[0]
merged = merged.pred_sem_seg.data.flatten().tolist()
print('one view, without augmentation:', plain, 'merged:', merged)
assert plain == [0, 0, 1, 1]
assert merged == [1, 1, 1, 1]
PYTHON
