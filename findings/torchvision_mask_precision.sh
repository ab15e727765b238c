#!/usr/bin/env bash
# torchvision: resizing or rotating a Mask of int32 or int64 changes its labels from 2^24 on.
#
# Versions:  torch 2.14.1, torchvision 0.29.1, numpy 2.4.6
# Input:     tv_tensors.Mask of a class and an instance in one number, instance * 65536 + class as SemanticKITTI packs
#            them: the classes 15 and 31 (motorcycle, bicyclist) of the instances 100 and 300; resize to twice the size,
#            rotate by 10 degrees, affine, perspective and elastic, all of which take the nearest pixel of a mask
# Expected:  the labels of the input and no others, as flips, crops and quarter turns give; or an error
# Seen:      no message, and the dtype is kept; instance 100 is right, and of instance 300 the classes become 16 and 32
#            (on rails, motorcyclist) in all five. The kernels compute in float32, which misses whole numbers above 2^24,
#            and turn the result back into integers
# Matters:   packed labels, and identifiers of parcels or buildings, turn into others that are valid too
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.14.1 torchvision==0.29.1 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

corners = [[0, 0], [7, 0], [7, 7], [0, 7]]
operations = dict(
    horizontal_flip=F.horizontal_flip,
    crop=lambda mask: F.crop(mask, 1, 1, 6, 6),
    resize=lambda mask: F.resize(mask, [16, 16]),
    quarter_turn=lambda mask: F.rotate(mask, 90),
    rotate=lambda mask: F.rotate(mask, 10),
    affine=lambda mask: F.affine(mask, 0, [0, 0], 1, [0, 0]),
    perspective=lambda mask: F.perspective(mask, corners, corners),
    elastic=lambda mask: F.elastic(mask, torch.zeros(1, 8, 8, 2)),
)
exact = 'horizontal_flip', 'crop', 'quarter_turn'


def classes(operation, dtype, instance):
    mask = torch.full((8, 8), instance * 65536 + 15, dtype=dtype)
    mask[:, 4:] += 16
    result = operation(tv_tensors.Mask(mask))
    assert isinstance(result, tv_tensors.Mask) and result.dtype == dtype
    result = result[result != 0]  # what a rotation fills is 0
    assert (result // 65536).unique().tolist() == [instance]
    return (result % 65536).unique().tolist()


for name, operation in operations.items():
    for dtype in (torch.int32, torch.int64):
        seen = {instance: classes(operation, dtype, instance) for instance in (100, 300)}
        print(name, dtype, 'classes by instance:', seen)
        assert seen == {100: [15, 31], 300: [15, 31] if name in exact else [16, 32]}
PYTHON
