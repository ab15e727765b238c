"""A small data set, the demo's model with arbitrary weights, and the tools run on them."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmseg_pacbal import cli

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / 'configs' / 'pac_bal_demo.py'


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
        for dataset in cli.datasets(cfg[f'{name}_dataloader']):
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
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 1.5)
    torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=0.2)
    path = config.with_name('model.pth')
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


def run_tool(name: str, *args: object) -> None:
    """Run a tool in this process."""
    argv = sys.argv
    sys.argv = [f'tools/{name}.py', *map(str, args)]
    try:
        runpy.run_path(str(ROOT / 'tools' / f'{name}.py'), run_name='__main__')
    finally:
        sys.argv = argv


def mistake(capsys: pytest.CaptureFixture, name: str, *args: object) -> str:
    """The one sentence with which a tool ends."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        run_tool(name, *args)
    assert ended.value.code == 1
    err = capsys.readouterr().err
    assert 'Traceback' not in err
    (sentence,) = [line for line in err.splitlines() if line.startswith('error: ')]
    return sentence.removeprefix('error: ')
