#!/usr/bin/env bash
# MMSegmentation's HuasdorffDisstanceLoss does not tell foreground classes apart: a perfect prediction is not its minimum.
#
# Versions:  mmsegmentation 1.2.2, mmengine 0.10.7, mmcv-lite 2.1.0, torch 2.13.0 (CPU), scipy 1.17.1
# Input:     a label of 12 x 12 pixels with a square of class 1 and one of class 2 on background 0; logits that say exactly
#            this, logits with both squares of class 1, both undecided, and logits trained by this loss alone
# Expected:  0 for the perfect prediction and more for any other; training finds the label
# Seen:      0.778 for the perfect prediction and for the one with class 1 twice, 0.648 for 0.5 and 0.5 in both squares,
#            which is also what training ends with. Each channel is compared with the number of the class (0, 1, 2)
#            instead of "is this class", and the distances are those of all foreground together
# Matters:   with more than two classes the loss pulls every foreground class towards every other. Right with two.
#            MMSegmentation pull request 3869 mends another line of it (ignore_index)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q mmsegmentation==1.2.2 mmengine==0.10.7 mmcv-lite==2.1.0 ftfy==6.3.1 regex scipy==1.17.1 \
    torch==2.13.0 numpy==2.4.6 opencv-python==5.0.0.93 opencv-python-headless==5.0.0.93 setuptools==80.9.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys
import types

# MMSegmentation imports the compiled operators of full mmcv, of which nothing here is called.
extension = types.ModuleType('mmcv._ext')
extension.__getattr__ = lambda name: None
sys.modules['mmcv._ext'] = extension

import torch
from mmseg.models.losses import HuasdorffDisstanceLoss

loss = HuasdorffDisstanceLoss()
label = torch.zeros(1, 12, 12, dtype=torch.long)
label[:, 2:6, 2:6], label[:, 6:10, 6:10] = 1, 2


def sure(label, classes=3):
    return 30 * torch.nn.functional.one_hot(label, classes).movedim(-1, 1).float()


both = sure(label.clamp(max=1))
both[:, 2] = both[:, 1]
seen = {
    'perfect': loss(sure(label), label),
    'class 1 twice': loss(sure(label.clamp(max=1)), label),
    'undecided': loss(both, label),
    'perfect, two classes': loss(sure(label.clamp(max=1), 2), label.clamp(max=1)),
}
logits = torch.zeros(1, 3, 12, 12, requires_grad=True)
optimizer = torch.optim.Adam([logits], lr=0.1)
for _ in range(300):
    optimizer.zero_grad()
    loss(logits, label).backward()
    optimizer.step()
seen['after training'] = loss(logits, label)
seen = {name: round(value.item(), 3) for name, value in seen.items()}
probabilities = logits.softmax(1)[0, :, 8, 8].tolist()
print('loss:', seen)
print('probabilities inside class 2 after training:', [round(p, 2) for p in probabilities])
assert seen['perfect, two classes'] == 0
assert seen['perfect'] == seen['class 1 twice'] == 0.778
assert seen['undecided'] == seen['after training'] == 0.648
assert abs(probabilities[1] - probabilities[2]) < 0.01
PYTHON
