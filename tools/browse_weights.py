"""Draw the weights of training samples: python tools/browse_weights.py CONFIG --num 8 --out DIR

Each picture shows one sample as the training pipeline gives it: image, label, edges E and
weights E_G, with the mean and the range of E_G. The loss is the config's BoundaryAwareLoss, or
one with the default arguments where the config trains with another; normalize='mean' divides by
the mean of the one sample here.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import set_random_seed
from mmseg.registry import DATASETS

from mmseg_pacbal import BoundaryAwareLoss, cli
from mmseg_pacbal.ops import boundary_edges
from mmseg_pacbal.preflight import check_data
from mmseg_pacbal.visualization.weights import WeightSample, weight_figure


def parse_args() -> argparse.Namespace:
    parser = cli.parser('Draw the weights of training samples')
    parser.add_argument('--num', type=int, default=8, help='how many samples, evenly spaced')
    parser.add_argument('--out', metavar='DIR', help='default: weights/ in the work dir')
    parser.add_argument('--seed', type=int, default=0, help='of the random crops and flips')
    return parser.parse_args()


def config_loss(cfg: Config) -> BoundaryAwareLoss:
    """The first BoundaryAwareLoss of the decode head."""
    heads = cfg.model.decode_head
    for head in heads if isinstance(heads, list) else [heads]:
        losses = head.get('loss_decode', [])
        for loss in losses if isinstance(losses, list) else [losses]:
            if loss.type in ('BoundaryAwareLoss', BoundaryAwareLoss):
                return BoundaryAwareLoss(**{k: v for k, v in loss.items() if k != 'type'})
    return BoundaryAwareLoss()


def weight_sample(packed: dict, loss: BoundaryAwareLoss, cfg: Config) -> WeightSample:
    """A sample of the pipeline, before the data preprocessor normalises and pads it."""
    image = packed['inputs'].permute(1, 2, 0).clamp(0, 255).byte().numpy()  # (H, W, 3)
    bgr = cfg.model.get('data_preprocessor', {}).get('bgr_to_rgb', False)
    label = packed['data_samples'].gt_sem_seg.data.long()  # (1, H, W)
    ignore_index = ignore_index_of(cfg)
    edge_args = {name: loss.map_args[name] for name in ('void_edges', 'ignore_padding')}
    return WeightSample(
        name=Path(packed['data_samples'].img_path).stem,
        image=np.ascontiguousarray(image[..., ::-1] if bgr else image),
        label=label[0].numpy(),
        edges=boundary_edges(label, ignore_index=ignore_index, **edge_args)[0].numpy(),
        weight=loss.weight_map(label, ignore_index)[0].numpy(),
    )


def ignore_index_of(cfg: Config) -> int:
    heads = cfg.model.decode_head
    return (heads[0] if isinstance(heads, list) else heads).get('ignore_index', 255)


@torch.no_grad()
def main(args: argparse.Namespace) -> None:
    if args.num < 1:
        raise ValueError(f'--num must be 1 or more, but got {args.num}')
    cfg = cli.load_config(args.config, args.cfg_options)
    check_data(cfg, 'train_dataloader')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    out = Path(args.out or Path(cli.work_dir(args, cfg), 'weights'))
    out.mkdir(parents=True, exist_ok=True)
    loss = config_loss(cfg)
    set_random_seed(args.seed)
    num = min(args.num, len(dataset))
    for index in (i * len(dataset) // num for i in range(num)):
        sample = weight_sample(dataset[index], loss, cfg)
        figure = weight_figure(sample, dataset.metainfo['palette'], ignore_index_of(cfg))
        path = out / f'{index:05d}_{sample.name}.png'
        figure.savefig(path, dpi=90)
        print(
            f'{path}: E_G mean {sample.weight.mean():.2f}, '
            f'{sample.weight.min():.2f} to {sample.weight.max():.2f}'
        )


if __name__ == '__main__':
    cli.run(main, parse_args())
