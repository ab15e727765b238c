"""Parameters, FLOPs and speed of every config's network, and the tables of configs/README.md.

python -m benchmarks.model_zoo

Costs are measured here, measured mIoU comes from results/, reported mIoU from
configs/ablation/paper_tables.yml and MMSegmentation, and everything else from the configs.
"""

import argparse
import functools
import json
import math
import re
from pathlib import Path

import mmengine
import mmseg
import torch
import yaml
from mmengine.analysis import FlopAnalyzer, parameter_count
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import Tensor, nn

import mmseg_pacbal  # noqa: F401 (registers PACHead)
from benchmarks.harness import InTurn, fresh, main, measure_times
from benchmarks.records import ROOT, load, source
from mmseg_pacbal.apps.study.plan import load_study
from mmseg_pacbal.apps.study.records import read_records
from mmseg_pacbal.apps.study.report import PRIMARY, with_deviation
from mmseg_pacbal.apps.study.statistics import Summary, summarise
from mmseg_pacbal.markdown import to_markdown

CONFIGS = ROOT / 'configs'
STOCK = Path(mmseg.__file__).parent / '.mim' / 'configs' / 'deeplabv3'
STOCK_NAMES = [f'deeplabv3_r101-d8_4xb4-{n}k_voc12aug-512x512' for n in (20, 40)]
TABLES = yaml.safe_load((CONFIGS / 'ablation' / 'paper_tables.yml').read_text())
NAMES = dict(
    ASPPHead='ASPP',
    PACHead='PAC',
    CrossEntropyLoss='cross entropy',
    BoundaryAwareLoss='BAL',
    LovaszLoss='Lovász',
)
RECIPE = ['network', 'loss', 'crop', 'iterations x batch']
COSTS = ['parameters (M)', 'GFLOPs', 'images/s']
NONE = '–'


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
    ours = [*sorted(CONFIGS.glob('*.py')), *sorted((CONFIGS / 'ablation').glob('*.py'))]
    # Few have timm installed.
    left_out = re.compile('.*_folder|pac_bal_timm|.*_lite0')
    ours = [path for path in ours if not left_out.fullmatch(path.stem)]
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
    analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with torch.no_grad():
        return int(analyzer.total())


def inference(model: nn.Module, size: tuple[int, int]) -> InTurn:
    """One image, from normalised pixels to logits of its size."""
    device = next(model.parameters()).device

    @torch.no_grad()
    def run(x: Tensor) -> Tensor:
        return model.encode_decode(x, [dict(img_shape=tuple(size))])

    return InTurn(run, fresh(lambda g: torch.randn(1, 3, *size, generator=g).to(device)))


def stock_mious() -> dict[str, float]:
    """What MMSegmentation's model zoo reports for its own configs."""
    models = {m['Name']: m for m in mmengine.load(STOCK / 'metafile.yaml')['Models']}
    return {name: models[name]['Results']['Metrics']['mIoU'] for name in STOCK_NAMES}


# Tables


def table(record: dict) -> str:
    rows = [
        [network['configs'][0], 'x'.join(map(str, network['input'])), *costs(network)]
        for network in record['results']['networks']
    ]
    return to_markdown(['network of', 'input', *COSTS], rows, left=2) + source(record)


def costs(network: dict) -> list[str]:
    figures = network['parameters'] / 1e6, network['flops'] / 1e9, 1 / network['seconds']['p50']
    return [f'{figure:.2f}' for figure in figures]


def costs_of(name: str) -> list[str]:
    """The cells of ``COSTS`` of a config."""
    networks = load('model_zoo')['results']['networks']
    return costs(next(network for network in networks if name in network['configs']))


def marked_tables() -> dict[str, str]:
    """Every marked block of configs/README.md."""

    def family(dataset: str) -> list[str]:
        return [f'{row["name"]}_{dataset}' for row in TABLES['table_3']]

    environment = load('model_zoo')['environment']
    return dict(
        voc=config_table([*family('voc'), 'pac_bal_voc_d8', *STOCK_NAMES]),
        camvid=config_table([*family('camvid'), 'lovasz_camvid']),
        mini=config_table([*family('camvid_mini'), 'lovasz_camvid_mini', 'pac_bal_demo']),
        scores=score_table('camvid_lite0', 'camvid_mini'),
        table_2=pac_table(),
        machine=(
            f'Speed: {environment["machine"]}, torch {environment["torch"]}, float32, one image at '
            f'a time; commit {environment["commit"]}, {environment["date"]}.'
        ),
    )


def config_table(names: list[str]) -> str:
    reported = {f'{row["name"]}_voc': row['mIoU'] for row in TABLES['table_3']}
    reported |= load('model_zoo')['results']['stock']
    rows = [
        [
            f'`mmseg::deeplabv3/{name}`' if name in STOCK_NAMES else f'[`{name}`]({name}.py)',
            *recipe((STOCK if name in STOCK_NAMES else CONFIGS) / f'{name}.py'),
            *costs_of(name),
            f'{reported[name]:.2f}' if name in reported else NONE,
            measured().get(name, NONE),
        ]
        for name in names
    ]
    return to_markdown(['config', *RECIPE, *COSTS, 'mIoU reported', 'mIoU measured'], rows, left=4)


def recipe(path: Path) -> list[str]:
    """The cells of ``RECIPE`` of a config."""
    cfg = parse(path)
    backbone, head = cfg.model.backbone, cfg.model.decode_head
    if backbone.type == 'TIMMBackbone':
        network = f'{backbone.model_name}-D{backbone.output_stride}'
    else:
        network = f'R-{backbone.depth}-D{4 * math.prod(backbone.strides)}'  # the stem shrinks by 4
        network += f', {backbone.base_channels} wide' if 'base_channels' in backbone else ''
    normalised = ', normalised' if head.loss_decode.get('normalize') else ''
    return [
        f'{network}, {NAMES[head.type]}',
        NAMES[head.loss_decode.type] + normalised,
        'x'.join(map(str, cfg.crop_size)),
        f'{cfg.train_cfg.max_iters:,} x {cfg.train_dataloader.batch_size}',
    ]


@functools.cache
def measured() -> dict[str, str]:
    """mIoU of the configs that a study has trained as they are, with its deviation."""
    rivals = {summary.row: summary for summary in scores('rival_losses', 'camvid_mini', 'mIoU')}
    mious = dict(lovasz_camvid_mini=with_deviation(rivals['lovasz']))
    table_3 = [('table3', dataset) for dataset in ('voc', 'camvid', 'camvid_mini')]
    for study, dataset in (*table_3, ('table2', 'voc')):
        for summary in scores(study, dataset, 'mIoU'):
            suffix = f'_{dataset}' if study == 'table3' else ''
            mious[summary.row + suffix] = with_deviation(summary)
    return mious


def scores(study: str, dataset: str, metric: str) -> list[Summary]:
    records = read_records(ROOT / 'results' / study / dataset)
    return summarise(load_study(study, dataset), records, metric)


def score_table(*datasets: str) -> str:
    """Mean and deviation of every primary measure of the rows of Table 3."""
    rows = []
    for dataset in datasets:
        for columns in zip(*(scores('table3', dataset, metric) for metric in PRIMARY), strict=True):
            name = f'{columns[0].row}_{dataset}'
            cells = [*recipe(CONFIGS / f'{name}.py'), str(columns[0].seeds)]
            rows.append([f'[`{name}`]({name}.py)', *cells, *map(with_deviation, columns)])
    return to_markdown(['config', *RECIPE, 'seeds', *PRIMARY], rows, left=4)


def pac_table() -> str:
    """Table 2."""
    rows = []
    for row in TABLES['table_2']:
        name = row['name']
        head = parse(CONFIGS / 'ablation' / f'{name}.py').model.decode_head
        settings = [', '.join(map(str, head.rates)), head['merge']]
        gain = [f'{row["delta_mIoU"]:+.2f}', measured().get(name, NONE)]
        rows.append([f'[`{name}`](ablation/{name}.py)', *settings, *costs_of(name), *gain])
    head = ['config', 'rates', 'merge', *COSTS, 'Δ mIoU reported', 'mIoU measured']
    return to_markdown(head, rows, left=3)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table)
