#!/usr/bin/env bash
# MMSegmentation's DiceLoss learns from pixels that carry the void label.
#
# Versions:  mmsegmentation 1.2.2, mmengine 0.10.7, mmcv-lite 2.1.0, torch 2.13.0 (CPU)
# Input:     logits (1, 3, 4, 4) and a label whose first row is 255; DiceLoss(), called with ignore_index=255 as
#            a decode head calls it
# Expected:  no gradient at void pixels, as with CrossEntropyLoss: their class is unknown
# Seen:      the gradient at void pixels is 0.0056 at most, of 0.0146 elsewhere: whatever is predicted there
#            counts as wrong
# Matters:   with void rims along objects (PASCAL VOC) the loss pulls every class away from boundaries
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
from mmseg.models.losses import CrossEntropyLoss, DiceLoss

torch.manual_seed(0)
logits = torch.randn(1, 3, 4, 4, requires_grad=True)
label = torch.randint(0, 3, (1, 4, 4))
label[:, 0] = 255
largest = {}
for loss in (CrossEntropyLoss(), DiceLoss()):
    logits.grad = None
    loss(logits, label, ignore_index=255).backward()
    gradient = logits.grad.abs()
    largest[type(loss).__name__] = float(gradient[:, :, 0].max()), float(gradient[:, :, 1:].max())
print('largest gradient at void and at labelled pixels:', largest)
assert largest['CrossEntropyLoss'][0] == 0
assert largest['DiceLoss'][0] > 0.1 * largest['DiceLoss'][1]
PYTHON
