"""Draw the weights of training samples: python tools/browse_weights.py CONFIG --num 8 --out DIR

Each picture shows one sample as the training pipeline yields it: image, label, edges E and
weights E_G, with the mean and the range of E_G. The loss is the config's BoundaryAwareLoss, or
one with the default arguments if the config trains with another loss. Here normalize='mean'
divides by the mean of a single sample.
"""

import mmseg_pacbal.apps  # noqa: F401 (first: it says what to install)

# isort: split
import argparse
from pathlib import Path

import torch
from mmengine.runner import set_random_seed
from mmseg.registry import DATASETS, MODELS

from mmseg_pacbal.apps import cli
from mmseg_pacbal.openmmlab.completion import load_complete_config
from mmseg_pacbal.openmmlab.data_checks.loaders import check_data
from mmseg_pacbal.openmmlab.inspection import last_head, spaced_indices, weigh_sample
from mmseg_pacbal.visualization import weight_figure


def parse_args() -> argparse.Namespace:
    parser = cli.parser('Draw the weights of training samples')
    cli.add_work_dir(parser)
    parser.add_argument('--num', type=int, default=8, help='how many samples, evenly spaced')
    parser.add_argument('--out', metavar='DIR', help='default: weights/ in the work dir')
    cli.add_overwrite(parser)
    parser.add_argument('--seed', type=int, default=0, help='seed of the random crops and flips')
    return parser.parse_args()


@torch.no_grad()
def main(args: argparse.Namespace) -> None:
    if args.num < 1:
        raise ValueError(f'--num must be 1 or more, but got {args.num}')
    cfg = load_complete_config(args.config, args.cfg_options)
    check_data(cfg, 'train_dataloader')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model = MODELS.build(cfg.model)
    out = Path(args.out or Path(cli.work_dir(args, cfg), 'weights'))
    files = {
        index: out / f'{index:05d}_{Path(dataset.get_data_info(index)["img_path"]).stem}.png'
        for index in spaced_indices(len(dataset), args.num)
    }
    cli.check_outputs(args, files.values())
    out.mkdir(parents=True, exist_ok=True)
    palette, ignore_index = dataset.metainfo['palette'], last_head(model).ignore_index
    set_random_seed(args.seed)
    for index, path in files.items():
        sample = weigh_sample(model, dataset[index])
        figure = weight_figure(sample, palette, ignore_index)
        figure.savefig(path, dpi=90)
        print(
            f'{path}: E_G mean {sample.weight.mean():.2f}, '
            f'{sample.weight.min():.2f} to {sample.weight.max():.2f}'
        )


if __name__ == '__main__':
    cli.run(main, parse_args())
