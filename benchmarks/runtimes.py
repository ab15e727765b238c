"""A layer in each runtime that is installed: functions of modules that give functions of arrays."""

import importlib.metadata
import importlib.util
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Model = Callable[[np.ndarray], np.ndarray]
Opener = Callable[[nn.Module, Tensor, Path, int], Model]
PACKAGES = dict(
    onnxruntime=('onnxruntime', 'onnx', 'onnxscript'),
    openvino=('openvino', 'onnx', 'onnxscript'),
    litert=('litert-torch', 'ai-edge-litert'),
    ncnn=('ncnn', 'pnnx'),
    executorch=('executorch',),
)
INT8_PACKAGES = ('onnx', 'onnxscript', 'onnxruntime', 'openvino', 'nncf')


def installed() -> list[str]:
    def has(package: str) -> bool:
        return importlib.util.find_spec(package.replace('-', '_')) is not None

    return [name for name, packages in PACKAGES.items() if all(map(has, packages))]


def versions(packages: Iterable[str]) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in packages}


def to_onnx(module: nn.Module, x: Tensor, path: Path) -> Path:
    """As the tool exports: batch, height and width are free."""
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    shapes = ({0: 'batch', 2: 'height', 3: 'width'},)
    x = x.expand(2, -1, -1, -1)  # one image would fix the batch
    torch.onnx.export(module, (x,), path, dynamo=True, dynamic_shapes=shapes, verbose=False)
    return path


def from_onnx(start: Callable[[Path, int], Model]) -> Opener:
    return lambda module, x, stem, n: start(to_onnx(module, x, stem.with_suffix('.onnx')), n)


def session(path: Path, threads: int) -> Model:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    run = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    name = run.get_inputs()[0].name
    return lambda x: run.run(None, {name: x})[0]


def compiled(model: Any, threads: int) -> Model:
    """A path or a model of OpenVINO's, in float32."""
    import openvino

    options = dict(INFERENCE_PRECISION_HINT='f32', INFERENCE_NUM_THREADS=threads)
    model = str(model) if isinstance(model, Path) else model
    run = openvino.Core().compile_model(model, 'CPU', options)
    return lambda x: run(x)[0]


def in_litert(module: nn.Module, x: Tensor, stem: Path, threads: int) -> Model:
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter

    path = stem.with_suffix('.tflite')
    litert_torch.convert(module, (x,)).export(str(path))
    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    into, out = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(into['index'], image)
        interpreter.invoke()
        return interpreter.get_tensor(out['index'])

    return run


def in_ncnn(module: nn.Module, x: Tensor, stem: Path, threads: int) -> Model:
    import ncnn
    import pnnx

    pnnx.export(module, str(stem.with_suffix('.pt')), x, fp16=False)
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = net.opt.use_bf16_packed = False
    net.load_param(f'{stem}.ncnn.param')
    net.load_model(f'{stem}.ncnn.bin')

    def run(image: np.ndarray) -> np.ndarray:
        with net.create_extractor() as extractor:
            extractor.input('in0', ncnn.Mat(image[0]).clone())
            return np.array(extractor.extract('out0')[1])[None]

    return run


def in_executorch(module: nn.Module, x: Tensor, stem: Path, threads: int) -> Model:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime

    program = torch.export.export(module, (x,))
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path = stem.with_suffix('.pte')
    path.write_bytes(lowered.to_executorch().buffer)
    method = Runtime.get().load_program(path).load_method('forward')
    return lambda image: method.execute([torch.from_numpy(image)])[0].numpy()


OPENERS: dict[str, Opener] = dict(
    onnxruntime=from_onnx(session),
    openvino=from_onnx(compiled),
    litert=in_litert,
    ncnn=in_ncnn,
    executorch=in_executorch,
)


def quantised_by_onnxruntime(path: Path, calibration: list[np.ndarray]) -> Path:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    name = onnx.load(path).graph.input[0].name

    class Reader(CalibrationDataReader):
        inputs = iter([{name: x} for x in calibration])

        def get_next(self) -> dict | None:
            return next(self.inputs, None)

    out = path.with_suffix('.int8.onnx')
    quantize_static(path, out, Reader(), per_channel=True)  # QDQ is its default
    return out


def quantised_by_nncf(path: Path, calibration: list[np.ndarray]) -> Any:
    import nncf
    import openvino

    # Core.read_model leaves a ReLU6 as two comparisons, and depthwise weights behind a Reshape; so
    # read, the EfficientNet-Lite0 loses all its scores in 8 bits.
    return nncf.quantize(openvino.convert_model(path), nncf.Dataset(calibration))


# What quantises an ONNX file, and what runs it or the result.
INT8: dict[str, tuple[Callable[[Path, list[np.ndarray]], Any], Callable[[Any, int], Model]]] = dict(
    onnxruntime=(quantised_by_onnxruntime, session), openvino=(quantised_by_nncf, compiled)
)
