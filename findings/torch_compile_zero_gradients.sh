#!/usr/bin/env bash
# torch 2.13 on a CPU: torch.compile gives gradients of zero where a network of few classes enlarges its logits.
#
# Versions:  torch 2.13.0 and 2.14.1 (CPU), numpy 2.4.6; 1 and 2 threads
# Input:     convolution of stride 4, batch norm, ReLU, 1x1 convolution, bilinear enlargement by 4, cross entropy,
#            as every segmentation network ends; 2 images of 48 x 48, 2 to 8 classes; the same with stride 16, 256 x 256
# Expected:  the gradients of the same network without compilation, up to rounding
# Seen:      torch 2.13.0: the loss is right, no message, and every gradient of every parameter is exactly 0 with
#            3 to 6 classes (with 2 classes, too, at stride 16); right with 8 and 21 classes, without the norm, and
#            with the backend aot_eager. torch 2.14.1: right
# Matters:   a compiled training of a binary or small problem learns nothing but what weight decay does
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
for version in 2.13.0 2.14.1; do
    "$folder/venv/bin/pip" install -q "torch==$version" numpy==2.4.6
    "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import copy

import torch
from torch import nn
from torch.nn.functional import cross_entropy, interpolate


def gradients(classes, stride, side):
    """Sums of the norms of all gradients, compiled and not, and both losses."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    images, label = torch.randn(2, 3, side, side), torch.randint(classes, (2, side, side))
    layers = nn.Conv2d(3, 16, 3, stride, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
    plain = nn.Sequential(*layers, nn.Conv2d(16, classes, 1))
    compiled = copy.deepcopy(plain)

    def loss(network, images, label):
        return cross_entropy(interpolate(network(images), (side, side), mode='bilinear'), label)

    losses = torch.compile(lambda *batch: loss(compiled, *batch))(images, label), loss(plain, images, label)
    for value in losses:
        value.backward()
    sums = [sum(float(p.grad.norm()) for p in n.parameters()) for n in (compiled, plain)]
    torch.testing.assert_close(*losses)
    return [round(value, 4) for value in sums]


broken = torch.__version__.startswith('2.13.0')
for threads in (1, 2):
    torch.set_num_threads(threads)
    for classes, stride, side in ((2, 4, 48), (4, 4, 48), (8, 4, 48), (2, 16, 256)):
        compiled, plain = gradients(classes, stride, side)
        print(torch.__version__, f'{threads} threads, {classes} classes, stride {stride}: {compiled} compiled, {plain}')
        zero = broken and (classes == 4 or stride == 16)
        assert plain > 0.1 and (compiled == 0 if zero else abs(compiled - plain) < 1e-3)
PYTHON
done
