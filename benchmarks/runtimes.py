"""Models in onnxruntime and OpenVINO; both are imported where they are used.

So records of them can be read where they are not installed.
"""

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

Model = Callable[[np.ndarray], np.ndarray]  # of an input (N, C, H, W)
ORT, OPENVINO = 'onnxruntime', 'OpenVINO'


def check_installed() -> None:
    needed = ('onnx', 'onnxscript', 'onnxruntime', 'openvino')
    missing = [name for name in needed if not importlib.util.find_spec(name)]
    if missing:
        raise ImportError(
            f'not installed: {", ".join(missing)}; pip install "mmseg-pacbal[onnx,openvino]"'
        )


def export(module: nn.Module, channels: int, path: Path) -> Path:
    """A module of (N, channels, H, W), of which N, H and W stay free."""
    dynamic = torch.export.Dim.DYNAMIC
    torch.onnx.export(
        module,
        (torch.zeros(2, channels, 21, 25),),
        dynamo=True,
        opset_version=18,
        dynamic_shapes=({0: dynamic, 2: dynamic, 3: dynamic},),
        verbose=False,
    ).save(path)
    return path


def in_onnxruntime(path: Path, threads: int) -> Model:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Candidates take turns; threads that spin while they wait would slow the next candidate.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    (name,) = (i.name for i in session.get_inputs())
    return lambda x: session.run(None, {name: x})[0]


def in_openvino(path: Path, threads: int) -> Model:
    import openvino

    # Without the hint it computes in bfloat16 where the CPU can.
    options = dict(INFERENCE_NUM_THREADS=threads, INFERENCE_PRECISION_HINT='f32')
    compiled = openvino.Core().compile_model(str(path), 'CPU', options)
    return lambda x: compiled(x)[0]


RUNTIMES = {ORT: in_onnxruntime, OPENVINO: in_openvino}


def quantised(path: Path) -> Path:
    """The graph with 8-bit weights, whose activations are quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # it advises to preprocess, on the root logger
    out = path.with_suffix('.8bit.onnx')
    # onnxruntime's integer convolution takes unsigned weights only.
    quantize_dynamic(path, out, weight_type=QuantType.QUInt8)
    return out


def versions() -> dict[str, str]:
    import onnx
    import onnxruntime
    import openvino

    return {
        'onnx': onnx.__version__,
        ORT: onnxruntime.__version__,
        OPENVINO: openvino.__version__.partition('-')[0],
    }
