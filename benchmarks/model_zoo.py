"""Parameters, FLOPs and speed of every config's network, for the tables of configs/README.md.

python -m benchmarks.model_zoo
"""

import argparse
import functools
import json
import math
from pathlib import Path

import mmseg
import torch
from mmengine.analysis import FlopAnalyzer, parameter_count
from mmengine.analysis.jit_handles import get_shape
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

import mmseg_pacbal  # noqa: F401 (registers PACHead)
from benchmarks.harness import main, measure_times
from benchmarks.records import ROOT, median, source
from mmseg_pacbal.markdown import to_markdown

STOCK = Path(mmseg.__file__).parent / '.mim' / 'configs' / 'deeplabv3'
STOCK_NAMES = [f'deeplabv3_r101-d8_4xb4-{n}k_voc12aug-512x512' for n in (20, 40)]


def measure(args: argparse.Namespace) -> dict:
    init_default_scope('mmseg')
    networks = distinct_networks()
    runs = {}
    for network in networks:
        torch.manual_seed(0)
        model = build(network.pop('cfg'))
        network['parameters'] = parameter_count(model)['']
        network['flops'] = count_flops(model, network['input'])
        # Named after the first config that has it.
        runs[network['configs'][0]] = inference(model.to(args.device), network['input'])
    times = measure_times(runs, args.repeats, args.device)
    for network, seconds in zip(networks, times.values(), strict=True):
        network['seconds'] = seconds
    return dict(networks=networks, stock=stock_mious())


def config_files() -> list[Path]:
    """Every config of ours with a network of its own, then MMSegmentation's own.

    `ablation/` is taken as for VOC. The network of the others follows from the user's data.
    """
    folders = (ROOT / 'configs', ROOT / 'configs' / 'ablation')
    ours = [path for folder in folders for path in sorted(folder.glob('*.py'))]
    ours = [path for path in ours if path.stem not in ('pac_bal_folder', 'pac_bal_timm')]
    ours = [path for path in ours if not path.stem.endswith('_lite0')]  # few have timm installed
    return ours + [STOCK / f'{name}.py' for name in STOCK_NAMES]


def distinct_networks() -> list[dict]:
    """Networks with the configs that have them: those that differ in the loss alone share one."""
    networks: dict[str, dict] = {}
    for path in config_files():
        cfg = parse(path)
        model = cfg.model.to_dict()
        del model['decode_head']['loss_decode']
        key = json.dumps([model, cfg.crop_size], sort_keys=True)
        network = networks.setdefault(key, dict(configs=[], input=list(cfg.crop_size), cfg=cfg))
        network['configs'].append(path.stem)
    return list(networks.values())


@functools.cache
def parse(path: Path) -> Config:
    return Config.fromfile(path)


def build(cfg: Config) -> nn.Module:
    # The values of weights change neither FLOPs nor speed.
    model = MODELS.build(dict(cfg.model, pretrained=None))
    return revert_sync_batchnorm(model).eval()


def count_flops(model: nn.Module, size: tuple[int, int]) -> int:
    """Multiply-adds of one image, as MMSegmentation's own `get_flops.py` counts them."""
    analyzer = FlopAnalyzer(model, torch.zeros(1, 3, *size))
    analyzer.set_op_handle('mmseg_pacbal::pyramid', pac_flops)
    analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with torch.no_grad():
        return int(analyzer.total())


def pac_flops(inputs: list, outputs: list) -> int:
    """The products that all rates share; their additions are not counted, as for other sums."""
    (n, _, h, w), filter_shape = get_shape(inputs[0]), get_shape(inputs[1])
    return n * h * w * math.prod(filter_shape)


def inference(model: nn.Module, size: tuple[int, int]) -> functools.partial:
    """One image, from normalised pixels to logits of its size."""
    x = torch.randn(1, 3, *size, device=next(model.parameters()).device)
    return functools.partial(torch.no_grad()(model.encode_decode), x, [dict(img_shape=tuple(size))])


def stock_mious() -> dict[str, float]:
    """What MMSegmentation's model zoo reports for its own configs."""
    models = {model['Name']: model for model in load(STOCK / 'metafile.yaml')['Models']}
    return {name: models[name]['Results']['Metrics']['mIoU'] for name in STOCK_NAMES}


COSTS = ['parameters (M)', 'GFLOPs', 'images/s']


def costs(network: dict) -> list[str]:
    figures = network['parameters'] / 1e6, network['flops'] / 1e9, 1 / median(network['seconds'])
    return [f'{figure:.2f}' for figure in figures]


def table(record: dict) -> str:
    rows = [
        [network['configs'][0], 'x'.join(map(str, network['input'])), *costs(network)]
        for network in record['results']['networks']
    ]
    return to_markdown(['network of', 'input', *COSTS], rows, left=2) + source(record)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table)
