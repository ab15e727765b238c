"""How large the boundary weights are on your labels: python tools/weight_statistics.py FOLDER ...

Prints a Markdown table with a row for each folder of label maps (PNG, void 255): mean and quantiles
of E_G at the pixels that are not void, with the loss's default arguments or those of --loss. A mean
far above 1 acts like a learning rate that is larger by this factor: lower the rate accordingly, or
use normalize='mean'.
"""

import argparse
from pathlib import Path

from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.apps import cli
from mmseg_pacbal.apps.weight_statistics import read_labels, weight_table


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='How large the boundary weights are on labels')
    parser.add_argument('folders', nargs='+', metavar='FOLDER', help='folder of label maps, *.png')
    parser.add_argument(
        '--loss',
        nargs='+',
        action=cli.Options,
        default={},
        metavar='KEY=VALUE',
        help='arguments of BoundaryAwareLoss, such as kernel_size=19 downsample=2',
    )
    parser.add_argument('--traceback', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    loss = BoundaryAwareLoss(**args.loss)
    print(weight_table({folder: read_labels(Path(folder)) for folder in args.folders}, loss))


if __name__ == '__main__':
    cli.run(main, parse_args())
