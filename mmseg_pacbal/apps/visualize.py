"""Draw a figure of the paper from the config's test data set.

- ``loss``: image, ground truth, prediction and loss (Figure 4); the loss is the one the config
  trains with: E_G times cross entropy for a BoundaryAwareLoss.
- ``weights``: image, label, edges E and Gaussian edge E_G (Figure 5); no checkpoint is needed.
- ``qualitative``: image, ground truth and prediction (Figure 7).
- ``comparison``: image, ground truth, the predictions of two models and the weights E_G of the
  second.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.registry import DATASETS, MODELS

from ..openmmlab.completion import load_complete_config
from ..openmmlab.inference import init_inferencer
from ..openmmlab.inspection import (
    boundary_loss,
    inspect_sample,
    last_head,
    pixel_loss_name,
    spaced_indices,
    weigh_sample,
    weight_name,
)
from ..visualization import comparison_figure, edge_figure, loss_figure, qualitative_figure

DPI = 300  # of PNG and JPEG, and of the pictures inside a PDF


def main(args: argparse.Namespace) -> None:
    cfg = load_complete_config(args.config, args.cfg_options, 'test_dataloader')
    figure = draw(args, cfg, DATASETS.build(cfg.test_dataloader.dataset))
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=DPI)
    print(f'written to {args.out}')


def draw(args: argparse.Namespace, cfg: Config, dataset: BaseDataset) -> Figure:
    indices = chosen_indices(args, dataset)
    meta = dataset.metainfo['classes'], dataset.metainfo['palette']
    if args.figure == 'weights':
        model = MODELS.build(cfg.model)
        samples = [weigh_sample(model, dataset[i]) for i in indices]
        return edge_figure(samples, *meta, weight_name(boundary_loss(model)))
    model = init_inferencer(cfg, args.checkpoint).model
    own_loss = args.figure == 'loss'
    rows = [inspect_sample(model, dataset, i, own_loss) for i in indices]
    if own_loss:
        return loss_figure(rows, *meta, pixel_loss_name(last_head(model)))
    if args.figure == 'comparison':
        other = second_model(args, dataset)
        others = [inspect_sample(other, dataset, i) for i in indices]
        names = args.names or [Path(config).stem for config in (args.config, args.compare[0])]
        return comparison_figure(rows, others, names, *meta, weight_name(boundary_loss(other)))
    return qualitative_figure(rows, *meta)


def chosen_indices(args: argparse.Namespace, dataset: BaseDataset) -> Sequence[int]:
    """The images chosen by --indices or --images; without either, four, evenly spaced."""
    if args.indices is not None:
        wrong = [i for i in args.indices if not 0 <= i < len(dataset)]
        if wrong:
            raise ValueError(f'--indices must be 0..{len(dataset) - 1}, but got {wrong[0]}')
        return args.indices
    if args.images is None:
        return spaced_indices(len(dataset), 4)
    paths = [
        Path(dataset.get_data_info(i)['img_path']).with_suffix('') for i in range(len(dataset))
    ]
    indices = []
    for name in args.images:
        parts = Path(name).with_suffix('').parts
        matches = [i for i, path in enumerate(paths) if path.parts[-len(parts) :] == parts]
        if not matches:
            raise ValueError(
                f'--images names {name}, which is not among the {len(dataset)} images of the test '
                f'data set, such as {paths[0].name}'
            )
        indices += matches
    return indices


def second_model(args: argparse.Namespace, dataset: BaseDataset) -> BaseSegmentor:
    """The model of --compare."""
    config, checkpoint = args.compare
    cfg = load_complete_config(config, args.cfg_options)
    model = init_inferencer(cfg, checkpoint).model
    classes = dataset.metainfo['classes']
    if tuple(model.dataset_meta['classes']) != tuple(classes):
        raise ValueError(
            f'{config} has the classes {", ".join(model.dataset_meta["classes"])}, but the test '
            f'data of {args.config} have {", ".join(classes)}; give configs of one data set'
        )
    return model
