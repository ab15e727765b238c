#!/usr/bin/env bash
# torch.onnx: an exported average pooling with divisor_override divides by the size of the window.
#
# Versions:  torch 2.13.0, onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.32.0, numpy 2.4.6
# Input:     avg_pool2d and avg_pool3d with divisor_override=1, the usual way to sum over a window (the number of edge
#            pixels near each pixel, say), and a divisor that is another whole number; exported with
#            default settings, and with the earlier exporter (dynamo=False)
# Expected:  the values of torch, or an error
# Seen:      with both, no error, and a graph of one AveragePool, which divides by the size of the window: with a window of
#            3x3 all sums are a ninth of torch's
# Matters:   thresholds and weights made from such counts are wrong by a constant factor after the export alone
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import logging

import onnx
import onnxruntime
import torch
from torch import nn

torch.manual_seed(0)
logging.disable(logging.WARNING)
for pool, sizes in ((nn.AvgPool2d, (1, 2, 8, 9)), (nn.AvgPool3d, (1, 2, 5, 6, 7))):
    for window in (2, 3):
        count = window ** (len(sizes) - 2)
        for divisor in (None, 1, 5):
            model, x = pool(window, divisor_override=divisor), torch.rand(sizes)
            for dynamo in (True, False):
                torch.onnx.export(model, (x,), 'model.onnx', dynamo=dynamo, verbose=False)
                kinds = [node.op_type for node in onnx.load('model.onnx').graph.node]
                session = onnxruntime.InferenceSession('model.onnx')
                [result] = session.run(None, {session.get_inputs()[0].name: x.numpy()})
                ratio = torch.from_numpy(result) / model(x)
                case = f'{pool.__name__}, window {window}, divisor {divisor}, dynamo={dynamo}'
                print(f'{case}: {kinds}, exported / torch {ratio.mean():.4f}')
                assert kinds == ['AveragePool']
                torch.testing.assert_close(ratio, torch.full_like(ratio, (divisor or count) / count))
PYTHON
