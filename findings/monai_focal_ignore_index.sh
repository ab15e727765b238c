#!/usr/bin/env bash
# MONAI 1.6: FocalLoss with ignore_index is as many times larger as there are channels, even if no pixel is ignored.
#
# Versions:  monai 1.6.1, torch 2.13.0 (CPU), numpy 2.4.6
# Input:     logits (2, 5, 8, 8) and a label of the classes 0 to 4, without any 255: FocalLoss(to_onehot_y=True) with
#            ignore_index=None and with ignore_index=255, sigmoid and softmax; the same for 2 and 10 channels
# Expected:  the same mean: "the sum of the output will be divided by the number of elements in the output"
# Seen:      2, 5 and 10 times the mean; the sums (reduction="sum") are equal. The sum over pixels and channels is divided
#            by the number of pixels alone
# Matters:   whoever names the void label multiplies this loss by the number of classes, against other losses of a sum
#            and against earlier runs. The review of the new option (MONAI pull request 8757) noted a factor of 2 in
#            another focal loss
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q monai==1.6.1 torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
from monai.losses import FocalLoss

for channels in (2, 5, 10):
    torch.manual_seed(0)
    logits, label = torch.randn(2, channels, 8, 8), torch.randint(channels, (2, 1, 8, 8))
    for softmax in (False, True):
        loss = {
            (reduction, index): FocalLoss(
                to_onehot_y=True, use_softmax=softmax, reduction=reduction, ignore_index=index
            )(logits, label)
            for reduction in ('mean', 'sum')
            for index in (None, 255)
        }
        plain, ignoring = loss['mean', None], loss['mean', 255]
        print(f'{channels} channels, softmax={softmax}: mean {plain:.4f}, with ignore_index=255 {ignoring:.4f}')
        torch.testing.assert_close(ignoring, channels * plain)
        torch.testing.assert_close(loss['sum', 255], loss['sum', None])
PYTHON
