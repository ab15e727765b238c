#!/usr/bin/env bash
# torch: interpolate(antialias=True) to a map of one column gives every row the value of the first.
#
# Versions:  torch 2.13.0 and 2.14.1 (CPU), numpy 2.4.6
# Input:     a float image 33 pixels high and 1 or 5 wide, each row holding its number, shrunk to 9 x 1
# Expected:  1.66, 5.0, 8.7, ...: what a column of a wider image gives, what the transposed image gives, and
#            what uint8 gives
# Seen:      1.66 nine times, in float32 and float64; right for uint8, for one row, and without antialiasing
# Matters:   thin crops, strips of a large map, and columns that are resized one at a time are constant
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
for version in 2.13.0 2.14.1; do
    "$folder/venv/bin/pip" install -q "torch==$version" numpy==2.4.6
    "$folder/venv/bin/python" - <<'PYTHON'
import torch
from torch.nn.functional import interpolate


def shrink(image, size):
    return interpolate(image[None, None], size, mode='bilinear', antialias=True)[0, 0]


print(torch.__version__)
for dtype in (torch.float32, torch.float64):
    image = torch.arange(33, dtype=dtype)[:, None]
    right = shrink(image.T, (1, 9))[0]
    torch.testing.assert_close(shrink(image.expand(33, 8), (9, 8))[:, 3], right)
    for width in (1, 5):
        seen = shrink(image.expand(33, width), (9, 1))[:, 0]
        print(f'{dtype}, {width} wide:', [round(value, 2) for value in seen.tolist()])
        assert seen.unique().numel() == 1 and right.unique().numel() == 9
in_bytes = shrink(torch.arange(33, dtype=torch.uint8)[:, None], (9, 1))[:, 0]
print('uint8:', in_bytes.tolist(), 'expected:', [round(value, 2) for value in right.tolist()])
assert (in_bytes - right).abs().max() <= 0.51
PYTHON
done
