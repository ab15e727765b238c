"""Export a checkpoint to ONNX and verify it: python tools/export_onnx.py CONFIG CHECKPOINT

The graph takes `image` (N, 3, H, W), float32, RGB from 0 to 255, and returns `logits`
(N, classes, H, W) of the same size; N, H and W are free. It normalises with the mean and deviation
of the config's data preprocessor, and batch norms are folded into convolutions. onnxruntime then
runs it on an image and on a smaller batch beside PyTorch; the exit code is 1 if they differ.

Of a model with one output channel, a pixel is of class 1 where sigmoid(logits) is above the
threshold of its head, which is printed.
"""

import mmseg_pacbal.apps  # noqa: F401 (first: it says what to install)

# isort: split
import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np
import torch
from mmcv.cnn import fuse_conv_bn
from mmengine.config import Config
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_pacbal.apps import cli
from mmseg_pacbal.datasets.synthetic_scene import render_scene
from mmseg_pacbal.layers import PyramidAtrousConv
from mmseg_pacbal.openmmlab.checkpoint_checks import load_weights
from mmseg_pacbal.openmmlab.completion import load_complete_config
from mmseg_pacbal.openmmlab.data_checks.files import read_image
from mmseg_pacbal.openmmlab.inference import converts_bgr_to_rgb, require_finite
from mmseg_pacbal.openmmlab.inspection import last_head

PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')
MAX_DIFFERENCE = 1e-3  # of logits
MIN_AGREEMENT = 0.999  # share of pixels with the same class


def parse_args() -> argparse.Namespace:
    parser = cli.parser('Export a segmentation model to ONNX')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--out', help='file to write; default: beside the checkpoint, with the suffix .onnx'
    )
    cli.add_overwrite(parser)
    parser.add_argument('--image', help='picture to compare on; default: a generated scene')
    parser.add_argument('--opset', type=int, default=18, help='ONNX opset, 18 or later')
    return parser.parse_args()


class ExportModel(nn.Module):
    """An MMSegmentation model from pixels to logits of the same size."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: BaseModel) -> None:
        super().__init__()
        self.model = model
        for name in ('mean', 'std'):
            self.register_buffer(name, getattr(model.data_preprocessor, name).clone())

    def forward(self, image: Tensor) -> Tensor:  # (N, 3, H, W) RGB -> (N, classes, H, W)
        x = (image - self.mean) / self.std
        return self.model.encode_decode(x, [dict(img_shape=x.shape[2:])])

    def fuse_norms(self) -> None:
        """Fold the batch norms of all convolutions."""
        for module in self.modules():
            if isinstance(module, PyramidAtrousConv):
                module.fuse_norm()
        fuse_conv_bn(self)


def load_model(cfg: Config, checkpoint: str) -> ExportModel:
    """Build the model of a config with the weights of a checkpoint, ready for inference."""
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    load_weights(model, checkpoint)
    if not converts_bgr_to_rgb(model):
        raise ValueError('model.data_preprocessor.bgr_to_rgb must be True, but got False')
    return ExportModel(model).eval()


def export(model: nn.Module, path: Path, opset: int) -> None:
    dynamic = torch.export.Dim.DYNAMIC
    program = torch.onnx.export(
        model,
        (torch.zeros(2, 3, 97, 129),),
        dynamo=True,
        opset_version=opset,
        input_names=['image'],
        output_names=['logits'],
        dynamic_shapes=({0: dynamic, 2: dynamic, 3: dynamic},),
        verbose=False,
    )
    assert program is not None  # only where torch writes the file itself
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(path)
    print(f'written to {path}')


def example_images(path: str | None) -> list[Tensor]:
    """A picture, or a generated scene, and a batch of two smaller parts; RGB from 0 to 255."""
    scene = render_scene(np.random.default_rng(0), (375, 500))[0]
    pixels = scene if path is None else read_image(path)[..., ::-1]
    image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()
    height, width = image.shape[2] * 2 // 3, image.shape[3] // 2
    return [image, torch.cat([image[..., :height, :width], image[..., -height:, -width:]])]


def classes(logits: Tensor, threshold: float | None) -> Tensor:
    """The classes that MMSegmentation predicts, (N, H, W)."""
    return logits.argmax(1) if threshold is None else (logits.sigmoid() > threshold)[:, 0]


def agree(expected: Tensor, actual: Tensor, threshold: float | None) -> bool:
    """Print how far two sets of logits (N, classes, H, W) differ; whether they agree."""
    difference = (expected - actual).abs().max().item()
    same = classes(expected, threshold) == classes(actual, threshold)
    agreement = same.double().mean().item()
    print(
        f'{tuple(expected.shape)}: logits differ by {difference:.1e} '
        f'(accepted: {MAX_DIFFERENCE:.0e}), same class at {agreement:.4%} of pixels '
        f'(accepted: {MIN_AGREEMENT:.1%})'
    )
    return difference <= MAX_DIFFERENCE and agreement >= MIN_AGREEMENT


@torch.no_grad()
def main(args: argparse.Namespace) -> None:
    path = Path(args.out) if args.out else Path(args.checkpoint).with_suffix('.onnx')
    # torch puts weights of 2 GB and more beside the graph.
    cli.check_outputs(args, [path, path.with_name(f'{path.name}.data')], [args.image])
    missing = [name for name in PACKAGES if not importlib.util.find_spec(name)]
    if missing:
        raise ImportError(f'not installed: {", ".join(missing)}; pip install "mmseg-pacbal[onnx]"')
    import onnxruntime

    model = load_model(load_complete_config(args.config, args.cfg_options), args.checkpoint)
    images = example_images(args.image)
    expected = [model(image) for image in images]  # before norms are folded
    for logits in expected:
        require_finite(logits, args.checkpoint)

    model.fuse_norms()
    export(model, path, args.opset)
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    actual = [torch.from_numpy(session.run(None, {'image': x.numpy()})[0]) for x in images]
    threshold = last_head(model.model).threshold if expected[0].shape[1] == 1 else None
    if threshold is not None:
        print(f'class 1 where sigmoid(logits) > {threshold}, the threshold of the head')
    near = [agree(*pair, threshold) for pair in zip(expected, actual, strict=True)]
    if not all(near):
        sys.exit(
            f'error: onnxruntime and PyTorch do not agree; do not use {path}, and please report it '
            'with the output of `python -m mmseg_pacbal.doctor`'
        )


if __name__ == '__main__':
    cli.run(main, parse_args())
