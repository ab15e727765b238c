"""Export a checkpoint to ONNX and verify it.

The graph takes ``image`` (batch, 3, height, width), float32, RGB from 0 to 255, and returns
``logits`` (batch, classes, height, width) of the same size; batch, height and width are free. It
normalises with the mean and deviation of the config's data preprocessor, pads as that says, and
batch norms are folded into convolutions. Its metadata names the classes, their colours and, for
one output channel, the threshold of sigmoid(logits) above which a pixel is of class 1.
onnxruntime then runs it on an image and on a smaller batch beside PyTorch.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.cnn import fuse_conv_bn
from mmengine.config import Config
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmseg.models.utils.wrappers import Upsample
from mmseg.registry import TRANSFORMS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..configs import datasets, say
from ..datasets.synthetic_scene import render_scene
from ..errors import one_sentence
from ..layers import prepare_export
from ..openmmlab.completion import load_complete_config
from ..openmmlab.data_checks.files import read_image
from ..openmmlab.inference import converts_bgr_to_rgb, init_inferencer, require_finite
from ..openmmlab.inspection import last_head
from .refusals import graph_path

MAX_DIFFERENCE = 1e-3  # of logits
MIN_AGREEMENT = 0.999  # share of pixels with the same class


class ExportModel(nn.Module):
    """An MMSegmentation model from pixels to logits of the same size."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: BaseModel) -> None:
        super().__init__()
        self.model = model
        padding = model.data_preprocessor.test_cfg or {}
        self.divisor = padding.get('size_divisor') or 1
        self.pad_value = model.data_preprocessor.pad_val
        for module in model.modules():
            if isinstance(module, Upsample) and module.scale_factor:
                # It computes a size with int(), which would be fixed in the graph.
                same = nn.Upsample(None, module.scale_factor, module.mode, module.align_corners)
                module.forward = same.forward
        for name in ('mean', 'std'):
            self.register_buffer(name, getattr(model.data_preprocessor, name).clone())

    def forward(self, image: Tensor) -> Tensor:  # (N, 3, H, W) RGB -> (N, classes, H, W)
        x = (image - self.mean) / self.std
        height, width = x.shape[2:]
        if self.divisor > 1:  # MMSegmentation pads at the right and at the bottom, too
            d = self.divisor  # sizes are positive: ONNX rounds a quotient towards zero
            rows, columns = ((n + d - 1) // d * d for n in (height, width))
            x = F.pad(x, (0, columns - width, 0, rows - height), value=self.pad_value)
        logits = self.model.encode_decode(x, [dict(img_shape=x.shape[2:])])
        return logits[..., :height, :width]

    def prepare(self, runtime: str, int8: bool = False) -> None:
        """Fold the batch norms of all convolutions, and write PAC as is faster in a runtime."""
        prepare_export(self, runtime, int8)
        # timm's norms end in an activation, which would go with them.
        norms = [(name, m) for name, m in self.named_modules() if isinstance(m, _BatchNorm)]
        fuse_conv_bn(self)
        for name, norm in norms:
            if hasattr(norm, 'act') and isinstance(self.get_submodule(name), nn.Identity):
                parent, _, child = name.rpartition('.')
                setattr(self.get_submodule(parent), child, norm.act)

    def threshold(self) -> float | None:
        """The threshold of a head with one output channel; None for other heads."""
        head = last_head(self.model)
        return head.threshold if head.out_channels == 1 else None


def main(args: argparse.Namespace) -> None:
    cfg = load_complete_config(args.config, args.cfg_options)
    say(f'loading {args.checkpoint} ...', sys.stderr)
    model = load_model(cfg, args.checkpoint)
    say('running it in PyTorch ...', sys.stderr)
    images = example_images(args.image, cfg)
    expected = [predicted(model, image) for image in images]  # before norms are folded
    for logits in expected:
        require_finite(logits, args.checkpoint)
    model.prepare(args.runtime, args.int8)
    path = graph_path(args)
    say('tracing and translating it to ONNX, which takes longest ...', sys.stderr)
    export(model, path, args.opset)
    say('comparing it in onnxruntime ...', sys.stderr)
    verify(path, images, expected, model.threshold())


def load_model(cfg: Config, checkpoint: str) -> ExportModel:
    """Build the model of a config with the weights of a checkpoint, ready for inference."""
    model = revert_sync_batchnorm(init_inferencer(cfg, checkpoint, 'cpu').model)
    if model.test_cfg.get('mode', 'whole') != 'whole':
        raise ValueError(
            f'model.test_cfg.mode is {model.test_cfg.mode!r}, but a graph takes the image whole; '
            'set model.test_cfg.mode=whole, and cut images into windows before you run it'
        )
    if (model.data_preprocessor.test_cfg or {}).get('size'):
        raise ValueError(
            'model.data_preprocessor.test_cfg.size pads images to one size, but a graph takes any; '
            'give size_divisor there'
        )
    if not converts_bgr_to_rgb(model):
        raise ValueError('model.data_preprocessor.bgr_to_rgb must be True, but got False')
    return ExportModel(model).eval()


def example_images(path: str | None, cfg: Config) -> list[Tensor]:
    """A picture, or a generated scene, and a batch of two smaller parts; RGB.

    A picture is read as the test pipeline reads images, else values are from 0 to 255.
    """
    pixels = render_scene(np.random.default_rng(0), (375, 500))[0]
    if path is not None:
        (_, dataset), *_ = datasets(cfg, 'test_dataloader')
        pixels = read_image(path, TRANSFORMS.build(dataset.pipeline[0]))[..., ::-1]
        if pixels.dtype == np.uint16:  # which torch cannot turn into another order
            pixels = pixels.astype(np.float32)
    image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()
    height, width = image.shape[2] * 2 // 3, image.shape[3] // 2
    return [image, torch.cat([image[..., :height, :width], image[..., -height:, -width:]])]


@torch.no_grad()
def predicted(model: ExportModel, image: Tensor) -> Tensor:
    """The logits; ValueError if the model does not take images of any size."""
    try:
        return model(image)
    except (AssertionError, RuntimeError) as error:
        size = 'x'.join(map(str, image.shape[:1:-1]))
        raise ValueError(
            f'the model takes no image of {size} pixels, but a graph takes any size ({error}); if '
            'it needs multiples of a number, such as 16, set '
            'model.data_preprocessor.test_cfg.size_divisor=16'
        ) from error


def export(model: ExportModel, path: Path, opset: int) -> None:
    """Write the graph, with names of its axes, and its metadata."""
    program = torch.onnx.export(
        model,
        (torch.zeros(2, 3, 97, 129),),
        dynamo=True,
        opset_version=opset,
        input_names=['image'],
        output_names=['logits'],
        dynamic_shapes=({0: 'batch', 2: 'height', 3: 'width'},),
        verbose=False,
    )
    assert program is not None  # only where torch writes the file itself
    (image,), (logits,) = program.model.graph.inputs, program.model.graph.outputs
    assert image.shape is not None and logits.shape is not None
    batch, _, height, width = image.shape
    logits.shape = type(image.shape)([batch, logits.shape[1], height, width])
    about = dict(model.model.dataset_meta, threshold=model.threshold())
    program.model.metadata_props.update({name: json.dumps(value) for name, value in about.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(path)
    print(f'written to {path}')


def verify(
    path: Path, images: list[Tensor], expected: list[Tensor], threshold: float | None
) -> None:
    """Compare a graph in onnxruntime with the logits of PyTorch."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    try:
        actual = [torch.from_numpy(session.run(None, {'image': x.numpy()})[0]) for x in images]
    except Exception as error:  # each of its errors has a class of its own
        raise ValueError(
            f'{path} does not run on images of other sizes, as the model fixes a size; do not use '
            f'it ({one_sentence(error)})'
        ) from error
    if threshold is not None:
        print(f'class 1 where sigmoid(logits) > {threshold}, the threshold of the head')
    near = [agree(*pair, threshold) for pair in zip(expected, actual, strict=True)]
    if not all(near):
        raise ValueError(
            f'onnxruntime and PyTorch do not agree; do not use {path}, and please report it with '
            'the output of `python -m mmseg_pacbal.doctor`'
        )


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


def classes(logits: Tensor, threshold: float | None) -> Tensor:
    """The classes that MMSegmentation predicts, (N, H, W)."""
    return logits.argmax(1) if threshold is None else (logits.sigmoid() > threshold)[:, 0]
