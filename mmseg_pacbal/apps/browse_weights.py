"""Draw the weights of training samples.

Each picture shows one sample as the training pipeline yields it: image, label, edges E and
weights E_G, with the mean and the range of E_G. The loss is the config's BoundaryAwareLoss, or
one with the default arguments if the config trains with another loss. Here normalize='mean'
divides by the mean of a single sample.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from mmengine.runner import set_random_seed
from mmseg.registry import DATASETS, MODELS

from ..openmmlab.completion import load_complete_config
from ..openmmlab.inspection import last_head, spaced_indices, weigh_sample
from ..visualization import weight_figure
from . import cli


@torch.no_grad()
def main(args: argparse.Namespace) -> None:
    cfg = load_complete_config(args.config, args.cfg_options, 'train_dataloader')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model = MODELS.build(cfg.model)
    out = Path(args.out or Path(cli.work_dir(args, cfg), 'weights'))
    files = {
        index: out / f'{index:05d}_{Path(dataset.get_data_info(index)["img_path"]).stem}.png'
        for index in spaced_indices(len(dataset), args.num)
    }
    cli.check_outputs(args, files.values())
    out.mkdir(parents=True, exist_ok=True)
    classes, palette = dataset.metainfo['classes'], dataset.metainfo['palette']
    ignore_index = last_head(model).ignore_index
    set_random_seed(args.seed)
    for index, path in files.items():
        sample = weigh_sample(model, dataset[index])
        weight_figure(sample, palette, ignore_index, classes).savefig(path, dpi=90)
        low, mean, high = (f(sample.weight) for f in (np.min, np.mean, np.max))
        print(f'{path}: E_G mean {mean:.2f}, {low:.2f} to {high:.2f}')
