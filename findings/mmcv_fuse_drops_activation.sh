#!/usr/bin/env bash
# mmcv: fuse_conv_bn drops the activation inside timm's batch norms, so a fused model computes something else.
#
# Versions:  mmcv-lite 2.1.0, mmengine 0.10.7, timm 1.0.31, torch 2.14.1, torchvision 0.29.1
# Input:     timm's efficientnet_lite0 (random weights, eval mode), whose norms are BatchNormAct2d: a batch norm,
#            then ReLU6. mmcv.cnn.fuse_conv_bn(model), as MMSegmentation's and MMDetection's benchmark tools call it
# Expected:  the same output up to rounding, or such norms left alone, or an error
# Seen:      no message; the fused model has no activation after its fused convolutions. With running statistics
#            of a trained model the outputs differ by many orders of magnitude; here their direction is lost
# Matters:   benchmarks time a network without its activations, and exports of fused models predict nonsense.
#            The class is asked by isinstance(BatchNorm2d), which a subclass that does more passes
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.14.1 torchvision==0.29.1 "timm==1.0.31" mmcv-lite==2.1.0 mmengine==0.10.7
"$folder/venv/bin/python" - <<'PYTHON'
import copy

import timm
import torch
from mmcv.cnn import fuse_conv_bn
from timm.layers import BatchNormAct2d

torch.manual_seed(0)
model = timm.create_model('efficientnet_lite0', pretrained=False).eval()
norms = [m for m in model.modules() if isinstance(m, BatchNormAct2d)]
with torch.no_grad():
    for norm in norms:
        norm.bias.uniform_(-1, 1)
    x = torch.randn(2, 3, 64, 64)
    expected = model.forward_features(x)
    fused = fuse_conv_bn(copy.deepcopy(model))
    seen = fused.forward_features(x)
left = [m for m in fused.modules() if isinstance(m, BatchNormAct2d)]
print('norms with an activation:', len(norms), 'before,', len(left), 'after')
print('least value of the last activation (ReLU6):', expected.min().item(), 'before,', seen.min().item(), 'after')
error = ((seen - expected).norm() / expected.norm()).item()
print(f'relative difference of the features: {error:.2g}')
assert len(norms) == 49 and not left and expected.min() >= 0 and seen.min() < 0 and error > 0.5
PYTHON
