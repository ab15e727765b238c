#!/usr/bin/env bash
# pnnx cannot export a network that is an nn.Sequential: the Python it writes assigns to self.0.
#
# Versions:  pnnx 20261020, torch 2.13.0 (CPU), numpy 2.4.6
# Input:     pnnx.export of a Sequential of convolution, ReLU and convolution; the same layers in an attribute "layers" of
#            another module; and a convolution in an nn.ModuleDict under the name "a-b"
# Expected:  a network that computes the same, as for the second one
# Seen:      SyntaxError for the first and the third. The files for ncnn are complete by then: export imports the written
#            Python last. "self.0 = nn.Conv2d(...)" is in it, where the second has "self.layers_0"
# Matters:   backbones and heads are often built as a Sequential, and a script that converts them ends with an error of a
#            file that nobody wrote. torch.fx had the same with to_folder (PyTorch pull request 169279)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pnnx==20261020 torch==2.13.0 numpy==2.4.6
cd "$folder"
cat > export.py <<'PYTHON'
import pathlib

import pnnx
import torch
from torch import nn


class Named(nn.Module):
    def __init__(self, layers, key):
        super().__init__()
        self.layers, self.key = layers, key

    def forward(self, x):
        return self.layers[self.key](x) if self.key else self.layers(x)


torch.manual_seed(0)
layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))
networks = {
    'sequential': layers,
    'attribute': Named(layers, None),
    'dictionary': Named(nn.ModuleDict({'a-b': nn.Conv2d(3, 2, 1)}), 'a-b'),
}
x, seen = torch.rand(1, 3, 8, 8), {}
for name, network in networks.items():
    try:
        exported = pnnx.export(network.eval(), f'{name}.pt', x)
        torch.testing.assert_close(exported(x), network(x))
        seen[name] = 'right'
    except SyntaxError as error:
        seen[name] = f'SyntaxError: {error.text.split(" = ")[0].strip()}'
    assert pathlib.Path(f'{name}.ncnn.param').stat().st_size > 0
print(seen)
assert seen.pop('attribute') == 'right'
assert seen == dict(sequential='SyntaxError: self.0', dictionary='SyntaxError: self.layers_a-b')
PYTHON
PATH="$folder/venv/bin:$PATH" venv/bin/python -W ignore export.py > log 2>&1 || { cat log; exit 1; }
tail -n 1 log
