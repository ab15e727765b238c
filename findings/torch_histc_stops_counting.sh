#!/usr/bin/env bash
# torch.histc counts in float32, so that a bin stops growing at 2^24 on a CPU; MMSegmentation's IoUMetric uses it.
#
# Versions:  torch 2.13.0 (CPU), numpy 2.4.6; one thread
# Input:     2^24 + 1,000 equal integers, as float32 and as float64; the areas of a 6000 x 6000 label map, as
#            IoUMetric.intersect_and_union counts them: torch.histc(label.float(), bins=2, min=0, max=1)
# Expected:  the number of elements, or an error, or a documented limit
# Seen:      16,777,216 in float32, whatever is added; 36,000,000 pixels of class 0 are 16,777,216.
#            float64 and torch.bincount count right
# Matters:   mIoU of large images is wrong without a message: half of such an image right gives an IoU of 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import torch

torch.set_num_threads(1)
n = 2**24 + 1000
counts = {
    str(dtype): int(torch.histc(torch.zeros(n, dtype=dtype), bins=2, min=0, max=1)[0])
    for dtype in (torch.float32, torch.float64)
}
counts['bincount'] = int(torch.bincount(torch.zeros(n, dtype=torch.long))[0])
print(torch.__version__, f'{n:,} elements:', counts)
assert counts == {'torch.float32': 2**24, 'torch.float64': n, 'bincount': n}

label = torch.zeros(6000, 6000, dtype=torch.uint8)
prediction = torch.zeros_like(label)
label[3000:] = 1
hits = prediction[prediction == label]
areas = [torch.histc(x.float(), bins=2, min=0, max=1) for x in (hits, prediction, label)]
intersect, predicted, truth = areas
union = predicted + truth - intersect
print('areas of the prediction:', predicted.tolist(), 'IoU of class 0:', float(intersect[0] / union[0]))
assert predicted[0] == 2**24
assert float(intersect[0] / union[0]) == 1.0  # 18 of 36 million pixels are right: 0.5
PYTHON
