#!/usr/bin/env bash
# ncnn: average pooling with ceil_mode divides the windows that reach beyond the image by their full size.
#
# Versions:  ncnn 1.0.20261020, pnnx 20261020, torch 2.13.0 (CPU), numpy 2.4.6
# Input:     an image of ones, converted networks of one nn.AvgPool2d(2, ceil_mode=True) for 5 x 7 and 4 x 6 pixels, and of
#            nn.AvgPool2d(3, 2, 1, ceil_mode=True) for 4 x 6; the same with count_include_pad=False
# Expected:  what torch computes: pixels beyond the padding are no part of a window, so that an average of ones
#            without padding is 1
# Seen:      for 5 x 7 the last row and column are 0.5, and 0.25 where they meet; 1 for 4 x 6, which needs no such
#            window. With padding the last row and column are two thirds of torch's. Right with count_include_pad=False
# Matters:   a network with such a pooling, whose arguments are otherwise torch's defaults, predicts something else along
#            the right and lower edge of images of odd size
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q ncnn==1.0.20261020 pnnx==20261020 torch==2.13.0 numpy==2.4.6
cd "$folder"
cat > pool.py <<'PYTHON'
import ncnn
import numpy as np
import pnnx
import torch
from torch import nn


class Network(nn.Module):
    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, x):
        return self.pool(x)


def both(size, *arguments, **options):
    """The pooled ones of torch and of ncnn, as a ratio."""
    network, x = Network(nn.AvgPool2d(*arguments, ceil_mode=True, **options)).eval(), torch.ones(1, 1, *size)
    pnnx.export(network, 'pool.pt', x, fp16=False)
    net = ncnn.Net()
    assert net.load_param('pool.ncnn.param') == 0 and net.load_model('pool.ncnn.bin') == 0
    extractor = net.create_extractor()
    extractor.input('in0', ncnn.Mat(x[0].numpy()).clone())
    status, output = extractor.extract('out0')
    assert status == 0
    return np.round(np.array(output, float)[0] / network(x)[0, 0].numpy(), 3).tolist()


odd, even, padded = both((5, 7), 2), both((4, 6), 2), both((4, 6), 3, 2, 1)
print('ncnn / torch, 5 x 7:', odd, '4 x 6:', even, 'with padding:', padded)
assert odd == [[1, 1, 1, 0.5], [1, 1, 1, 0.5], [0.5, 0.5, 0.5, 0.25]]
assert even == [[1, 1, 1], [1, 1, 1]]
assert padded == [[1, 1, 1, 0.667], [1, 1, 1, 0.667], [0.667, 0.667, 0.667, 0.444]]
for size, arguments in (((5, 7), (2,)), ((4, 6), (3, 2, 1))):
    assert np.all(np.array(both(size, *arguments, count_include_pad=False)) == 1)
PYTHON
PATH="$folder/venv/bin:$PATH" venv/bin/python -W ignore pool.py > log 2>&1 || { cat log; exit 1; }
grep '^ncnn / torch' log
