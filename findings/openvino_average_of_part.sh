#!/usr/bin/env bash
# OpenVINO: ONNX's AveragePool with ceil_mode and padding divides by pixels that are beyond the padding.
#
# Versions:  openvino 2026.4.1, onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6
# Input:     an image of ones, 4 x 6 and 5 x 7; AveragePool of opset 19 with kernel 3, stride 2, pads 1, ceil_mode 1 and
#            count_include_pad 1, the settings of torch's nn.AvgPool2d(3, 2, 1, ceil_mode=True)
# Expected:  the same in all three, and what torch gives: padding counts, what ceil_mode adds beyond it does not
# Seen:      for 4 x 6 the last row and column of OpenVINO are two thirds of those of ONNX Runtime and of ONNX's own
#            reference. All are equal for 5 x 7, which needs nothing beyond the padding, and with count_include_pad 0
# Matters:   predictions along the right and lower edge differ, at some image sizes only. OpenVINO pull request 36714
#            mended the number of such windows
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import helper
from onnx.reference import ReferenceEvaluator


def pooled(size, count):
    """The pooled ones of OpenVINO, of ONNX Runtime and of ONNX's reference."""
    settings = dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, ceil_mode=1, count_include_pad=count)
    node = helper.make_node('AveragePool', ['x'], ['y'], **settings)
    x = helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, (1, 1, *size))
    y = helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph([node], 'pool', [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 19)], ir_version=9)
    ones, content = np.ones((1, 1, *size), np.float32), model.SerializeToString()
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(content), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    session = onnxruntime.InferenceSession(content, providers=['CPUExecutionProvider'])
    outputs = compiled(ones)[0], session.run(None, {'x': ones})[0], ReferenceEvaluator(model).run(None, {'x': ones})[0]
    return [output[0, 0] for output in outputs]


seen, runtime, reference = pooled((4, 6), 1)
np.testing.assert_allclose(runtime, reference, rtol=1e-5)
ratio = np.round(seen.astype(float) / runtime, 3).tolist()
print('4 x 6, OpenVINO / ONNX Runtime:', ratio)
assert ratio == [[1, 1, 1, 0.667], [1, 1, 1, 0.667], [0.667, 0.667, 0.667, 0.444]]
for size, count in (((5, 7), 1), ((5, 7), 0), ((4, 6), 0)):
    seen, runtime, reference = pooled(size, count)
    np.testing.assert_allclose(seen, runtime, rtol=1e-5)
    np.testing.assert_allclose(reference, runtime, rtol=1e-5)
    print(size, 'count_include_pad', count, 'equal')
PYTHON
