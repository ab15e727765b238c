"""The arguments of every tool; the docstring says what the tool does."""

import argparse
import time
from pathlib import Path

from ..configs import config_path
from . import cli
from .voc import SBD_URL, VOC_URL

FORMATS = ('.png', '.jpg', '.pdf')  # of figures


def train(p: argparse.ArgumentParser) -> None:
    """Train a segmentation model."""
    cli.add_config(p)
    cli.add_work_dir(p)
    cli.add_launcher(p)
    p.add_argument(
        '--resume',
        action='store_true',
        help='continue from the last intact checkpoint in the work dir; if there is none, start a '
        'new run',
    )
    cli.add_amp(p)
    p.add_argument(
        '--check',
        action='store_true',
        help='build the model, read all images and masks of training and validation, list every '
        'problem, and exit',
    )


def check(p: argparse.ArgumentParser) -> None:
    """Build the model, read all images and masks, list every problem, and suggest settings."""
    cli.add_config(p)
    p.set_defaults(check=True)


def test(p: argparse.ArgumentParser) -> None:
    """Test a segmentation model."""
    cli.add_config(p)
    cli.add_work_dir(p)
    cli.add_launcher(p)
    p.add_argument('checkpoint', help='checkpoint file')
    p.add_argument('--out', metavar='DIR', help='save predictions as label maps (PNG)')
    p.add_argument('--show-dir', metavar='DIR', help='save pictures of the predictions')
    cli.add_opacity(p, None, "in --show-dir; default: that of the config's visualizer")
    cli.add_overwrite(p)
    p.add_argument('--tta', action='store_true', help='test-time augmentation')
    cli.add_amp(p)


def predict(p: argparse.ArgumentParser) -> None:
    """Label your own images."""
    cli.add_config(p)
    p.add_argument('checkpoint', help='checkpoint file')
    p.add_argument('source', metavar='IMAGE_OR_FOLDER', help='subfolders are searched too')
    p.add_argument('--out', metavar='DIR', required=True, help='folder for the results')
    cli.add_overwrite(p)
    p.add_argument(
        '--batch-size', type=int, default=4, help='how many images of one size to predict at once'
    )
    p.add_argument(
        '--probabilities',
        type=int,
        choices=[8, 16],
        help='also write the probability of each class, as grey PNG of so many bits',
    )
    cli.add_opacity(p, 0.5, 'default: %(default)s')
    p.add_argument(
        '--legend', action='store_true', help='names and colours of the classes below every overlay'
    )
    cli.add_amp(p)
    p.add_argument('--device', help='such as cpu or cuda:1; default: a GPU if there is one')


def visualize(p: argparse.ArgumentParser) -> None:
    """Draw a figure of the paper from a checkpoint."""
    cli.add_config(p)
    p.add_argument('checkpoint', nargs='?', help='checkpoint file; not needed for weights')
    figures = ['loss', 'weights', 'qualitative', 'comparison']
    p.add_argument('--figure', choices=figures, required=True)
    cli.add_compare(p)
    p.add_argument(
        '--names', nargs=2, help='what the two models are called; default: their configs'
    )
    chosen = p.add_mutually_exclusive_group()
    chosen.add_argument('--indices', nargs='+', type=int, help='numbers of images, from 0')
    chosen.add_argument(
        '--images', nargs='+', metavar='NAME', help='file names of images, with or without folders'
    )
    p.add_argument('--out', required=True, help=f'file to write: {", ".join(FORMATS)}')
    cli.add_overwrite(p)


def browse_weights(p: argparse.ArgumentParser) -> None:
    """Draw the weights of training samples."""
    cli.add_config(p)
    cli.add_work_dir(p)
    p.add_argument('--num', type=int, default=8, help='how many samples, evenly spaced')
    p.add_argument('--out', metavar='DIR', help='default: weights/ in the work dir')
    cli.add_overwrite(p)
    p.add_argument('--seed', type=int, default=0, help='seed of the random crops and flips')


def weight_statistics(p: argparse.ArgumentParser) -> None:
    """Print how large the boundary weights are on labels."""
    p.add_argument('folders', nargs='+', metavar='FOLDER', help='folder of label maps, *.png')
    p.add_argument(
        '--loss',
        nargs='+',
        action=cli.Options,
        default={},
        metavar='KEY=VALUE',
        help='arguments of BoundaryAwareLoss, such as kernel_size=19 downsample=2',
    )
    cli.add_traceback(p)


def analyze_errors(p: argparse.ArgumentParser) -> None:
    """Split the score of a model by what makes segmentation hard."""
    cli.add_config(p)
    cli.add_work_dir(p)
    p.add_argument('checkpoint', help='checkpoint file')
    cli.add_compare(p)
    p.add_argument('--out', metavar='DIR', required=True, help='folder for the results')
    cli.add_overwrite(p)
    p.add_argument('--width', type=int, default=8, help='near a boundary: pixels from it')
    p.add_argument('--area', type=int, default=1024, help='small objects have fewer pixels')
    p.add_argument(
        '--radius', type=int, default=4, help='in thin parts no disc of this radius fits'
    )


def export_onnx(p: argparse.ArgumentParser) -> None:
    """Export a segmentation model to ONNX."""
    cli.add_config(p)
    p.add_argument('checkpoint', help='checkpoint file')
    p.add_argument(
        '--out', help='file to write; default: beside the checkpoint, with the suffix .onnx'
    )
    cli.add_overwrite(p)
    p.add_argument('--image', help='picture to compare on; default: a generated scene')
    p.add_argument('--opset', type=int, default=18, help='ONNX opset, 18 or later')
    p.add_argument(
        '--runtime',
        choices=('onnxruntime', 'openvino', 'ncnn'),
        default='onnxruntime',
        help='where the graph will run: PAC is written in the form that was measured to be faster '
        'there; default: %(default)s',
    )
    p.add_argument(
        '--int8',
        action='store_true',
        help='the graph will be quantised to 8 bits: PAC is written as convolutions',
    )


def demo(p: argparse.ArgumentParser) -> None:
    """Train PAC + BAL on generated data, test it and draw what it learned."""
    cli.add_config(p, default=config_path('pac_bal_demo.py'))
    cli.add_work_dir(p)
    p.set_defaults(work_dir=time.strftime('work_dirs/pac_bal_demo/%Y%m%d_%H%M%S'))
    cli.add_overwrite(p)
    p.add_argument('--images', type=int, default=4, help='how many images to draw')


def prepare_voc(p: argparse.ArgumentParser) -> None:
    """Make VOC 2012 with SBD's masks."""
    archive = 'path or URL; default: %(default)s'
    p.add_argument('--voc', default=VOC_URL, help=f'VOC 2012, {archive}')
    p.add_argument('--sbd', default=SBD_URL, help=f'SBD, {archive}')
    p.add_argument(
        '--out', default='data/VOCdevkit', metavar='DIR', help='VOCdevkit; default: %(default)s'
    )
    p.add_argument('--check', action='store_true', help='only verify what is in --out')
    cli.add_traceback(p)


def convert_lite0(p: argparse.ArgumentParser) -> None:
    """Convert EfficientNet-Lite0's ImageNet weights for TIMMBackbone."""
    p.add_argument('source', nargs='?', help='its .pth file; default: that of the package')
    p.add_argument(
        '--out',
        default='data/tf_efficientnet_lite0.pth',
        metavar='FILE',
        help='default: %(default)s, where the configs look for it',
    )
    cli.add_overwrite(p)
    cli.add_traceback(p)


def doctor(p: argparse.ArgumentParser) -> None:
    """Examine this machine: every op on every device, training, resume, speed."""
    p.add_argument('--json', metavar='FILE', help='also write everything to a JSON file')
    cli.add_overwrite(p)
    cli.add_traceback(p)


def explore_weights(p: argparse.ArgumentParser) -> None:
    """Choose the weights by eye, on a page in your browser."""
    cli.add_config(p, default='')
    p.add_argument('--labels', metavar='FOLDER', help='label maps instead of a config')
    p.add_argument('--checkpoint', help="of the config's model: shows the loss of every pixel")
    p.add_argument('--host', default='127.0.0.1', help='address to listen on')
    p.add_argument('--port', type=int, help='default: a free one from 7860 on')


def compare_errors(p: argparse.ArgumentParser) -> None:
    """Show the errors of two models over several seeds."""
    p.add_argument('folders', nargs='+', type=Path, metavar='DIR', help='results of one seed')
    cli.add_traceback(p)


def run_study(p: argparse.ArgumentParser) -> None:
    """Train and test the rows of a study, seed by seed."""
    p.add_argument('study', help='name of a study (table1, table2, table3, ...) or its YAML file')
    p.add_argument(
        '--dataset',
        default='voc',
        help='voc (default), camvid, camvid_lite0, camvid_mini, or folder_lite0: your own data',
    )
    p.add_argument('--seeds', type=int, nargs='+', help="default: the study's own, mostly 0 1 2")
    p.add_argument('--rows', nargs='+', help='only these rows; default: all')
    p.add_argument(
        '--gpus',
        type=int,
        nargs='+',
        help='GPUs of this machine, one run on each; a GPU named twice has two; default: one run',
    )
    p.add_argument(
        '--processes',
        type=int,
        default=1,
        help='processes of a run, each with its own GPU and batch; default: 1',
    )
    p.add_argument(
        '--ray',
        metavar='ADDRESS',
        help='run on a Ray cluster: auto finds one, local starts one here, HOST:PORT names one',
    )
    p.add_argument('--cpus', type=int, default=1, help='CPUs of a run on the Ray cluster')
    p.add_argument('--work-dir', help='default: work_dirs/studies/STUDY/DATASET')
    p.add_argument('--results', help='default: results/STUDY/DATASET')
    cli.add_overwrite(p)
    p.add_argument('--report', action='store_true', help='train nothing: write table and plot')
    p.add_argument(
        '--dry-run', action='store_true', help='train nothing and read no data: list the runs'
    )
    cli.add_amp(p)
    cli.add_common(p)
