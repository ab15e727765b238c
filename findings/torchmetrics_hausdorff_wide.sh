#!/usr/bin/env bash
# torchmetrics: the Hausdorff distance of images wider than high is wrong, without a message.
#
# Versions:  torchmetrics 1.9.0, torch 2.13.0 (CPU), numpy 2.4.6, setuptools 80.9.0
# Input:     hausdorff_distance of two masks that hold a square of 8 x 8 pixels, the second one 10 pixels further right or
#            10 further down, in images of 32 x 32 and, with background added to the right, of 32 x 64
# Expected:  10 in all four cases
# Seen:      10 and 10 in 32 x 32; 34 and 21.84 in 32 x 64. distance_transform stores distances at row * height + column
#            instead of row * width + column; its engine "scipy" is right
# Matters:   photographs are mostly wide: the score looks plausible and is not the distance. Known in part: torchmetrics
#            issue 3300 reports the IndexError of images higher than wide and takes wide ones to work
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6 scipy==1.17.1 setuptools==80.9.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
from torchmetrics.functional.segmentation import hausdorff_distance
from torchmetrics.functional.segmentation.utils import distance_transform


def square(width, top, left):
    mask = torch.zeros(1, 1, 32, width, dtype=torch.long)
    mask[..., top : top + 8, left : left + 8] = 1
    return mask


def distance(width, top, left):
    masks = square(width, 4, 4), square(width, top, left)
    return round(hausdorff_distance(*masks, num_classes=1, include_background=True).item(), 2)


seen = {width: (distance(width, 4, 14), distance(width, 14, 4)) for width in (32, 64)}
print('moved by 10 to the right and down, by width of the image:', seen)
assert seen == {32: (10, 10), 64: (34, 21.84)}

outside = 1 - square(64, 4, 4)[0, 0]
engines = {name: torch.as_tensor(distance_transform(outside, engine=name)).double() for name in ('scipy', 'pytorch')}
print('distance of the pixel three to the left:', {name: map_[8, 1].item() for name, map_ in engines.items()})
assert engines['scipy'][8, 1] == 3 != engines['pytorch'][8, 1]
PYTHON
