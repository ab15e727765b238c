"""What the model zoo says of each config, from the config itself and from measured figures."""

import math
from dataclasses import dataclass

import yaml
from mmengine.config import Config

from benchmarks.figures import record, results
from benchmarks.harness import ROOT
from benchmarks.model_zoo import STOCK_NAMES, config_files, parse
from mmseg_pacbal.apps.study import load_study, read_records, summarise

TABLES = yaml.safe_load((ROOT / 'configs' / 'ablation' / 'paper_tables.yml').read_text())
HEADS = dict(ASPPHead='ASPP', PACHead='PAC')
LOSSES = dict(CrossEntropyLoss='cross entropy', BoundaryAwareLoss='BAL')
DATASETS = dict(
    PascalVOCDataset='Pascal VOC 2012 + Aug',
    CamVidDataset='CamVid',
    SyntheticVOCDataset='generated',
)


@dataclass(frozen=True)
class Entry:
    """A config; ``batch`` is that of one process, ``seconds`` those of one image of ``crop``.

    ``reported`` and ``measured`` are mIoU, or None; ``reported_difference`` is what the paper
    states of its ablations instead. ``measured`` has mean and deviation over the seeds.
    """

    name: str
    dataset: str
    backbone: str
    head: str
    loss: str
    crop: tuple[int, int]
    iterations: int
    batch: int
    parameters: int
    flops: int
    seconds: float
    reported: float | None
    reported_difference: float | None
    measured: tuple[float, float | None] | None


def environment() -> dict:
    """Machine, versions and commit of the figures."""
    return record('model_zoo')['environment']


def entries() -> dict[str, Entry]:
    """Every config of ours, the ablations as for VOC, and MMSegmentation's own."""
    measurements = results('model_zoo')
    networks = {
        name: network for network in measurements['networks'] for name in network['configs']
    }
    reported = {f'{row["name"]}_voc': row['mIoU'] for row in TABLES['table_3']}
    reported |= measurements['stock']
    ablations = [*TABLES['table_1'], *TABLES['table_2']]
    differences = {row['name']: row['delta_mIoU'] for row in ablations}
    measured = measured_mious()
    found = {}
    for path in config_files():
        name, network = path.stem, networks[path.stem]
        found[name] = Entry(
            name=name,
            **recipe(parse(path)),
            parameters=network['parameters'],
            flops=network['flops'],
            seconds=network['seconds']['p50'],
            reported=reported.get(name),
            reported_difference=differences.get(name),
            measured=measured.get(name),
        )
    return found


def recipe(cfg: Config) -> dict:
    loader, head = cfg.train_dataloader, cfg.model.decode_head
    dataset = loader.dataset.datasets[0] if 'datasets' in loader.dataset else loader.dataset
    backbone = cfg.model.backbone
    stride = 4 * math.prod(backbone.strides)  # the stem shrinks by 4
    width = f', {backbone.base_channels} wide' if 'base_channels' in backbone else ''
    normalised = ', normalised' if head.loss_decode.get('normalize') else ''
    return dict(
        dataset=DATASETS[dataset.type],
        backbone=f'R-{backbone.depth}-D{stride}{width}',
        head=HEADS[head.type],
        loss=LOSSES[head.loss_decode.type] + normalised,
        crop=tuple(cfg.crop_size),
        iterations=cfg.train_cfg.max_iters,
        batch=loader.batch_size,
    )


def measured_mious() -> dict[str, tuple[float, float | None]]:
    """mIoU of the configs that a study of the paper's tables has trained."""
    found = {}
    for study, dataset in STUDIES:
        records = read_records(ROOT / 'results' / study / dataset)
        for summary in summarise(load_study(study, dataset), records, 'mIoU'):
            suffix = f'_{dataset}' if study == 'table3' else ''
            found[summary.row + suffix] = (summary.mean, summary.deviation)
    return found


STUDIES = [('table3', dataset) for dataset in ('voc', 'camvid', 'camvid_mini')]
STUDIES += [('table1', 'voc'), ('table2', 'voc')]


def is_ours(entry: Entry) -> bool:
    return entry.name not in STOCK_NAMES
