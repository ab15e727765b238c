"""A small data set, and the demo's model with arbitrary weights."""

from pathlib import Path

import torch
from mmengine.config import Config

from mmseg_pacbal import configs
from tests.running import DEMO


def write_config(folder: Path, loss: dict | None = None) -> Path:
    """The demo's config on 8 + 5 generated images of 64 x 80 pixels, made where it is run.

    Args:
        folder: For the config and its data.
        loss: Takes the place of the decode head's loss.
    """
    cfg = Config.fromfile(DEMO)
    if loss is not None:
        cfg.model.decode_head.loss_decode = loss
    for name in ('train', 'val', 'test'):
        for _, dataset in configs.datasets(cfg, f'{name}_dataloader'):
            dataset.data_root = str(folder / 'data')
            dataset.generate = dict(num_train=8, num_val=5, size=(64, 80))
    cfg.dump(folder / 'config.py')
    return folder / 'config.py'


def write_checkpoint(config: Path) -> Path:
    """Weights and statistics far from their start, so that several classes are predicted."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    model.init_weights()
    torch.manual_seed(3)  # whatever the layout of the weights before took
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 1.5)
    torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=0.2)
    path = config.with_name('model.pth')
    torch.save(dict(state_dict=model.state_dict()), path)
    return path
