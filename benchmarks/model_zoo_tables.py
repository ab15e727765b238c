"""The tables of configs/README.md: what each config is, what it costs and how well it does.

Costs come from the record of benchmarks.model_zoo, measured mIoU from results/, reported mIoU
from configs/ablation/paper_tables.yml and MMSegmentation, recipes from the configs.
"""

import functools
import math
from dataclasses import dataclass

import yaml
from mmengine.config import Config, ConfigDict

from benchmarks.model_zoo import COSTS, STOCK_NAMES, config_files, costs, parse
from benchmarks.records import ROOT, load
from mmseg_pacbal.apps.study import PRIMARY, load_study, read_records, summarise
from mmseg_pacbal.markdown import to_markdown

ABLATION = ROOT / 'configs' / 'ablation'
TABLES = yaml.safe_load((ABLATION / 'paper_tables.yml').read_text())
HEADS = dict(ASPPHead='ASPP', PACHead='PAC')
LOSSES = dict(CrossEntropyLoss='cross entropy', BoundaryAwareLoss='BAL')
DATASETS = dict(
    PascalVOCDataset='Pascal VOC 2012 + Aug',
    CamVidDataset='CamVid',
    SyntheticVOCDataset='generated',
)
STUDIES = [('table3', dataset) for dataset in ('voc', 'camvid', 'camvid_mini')]
STUDIES += [('table1', 'voc'), ('table2', 'voc')]
RECIPE = ['network', 'loss', 'crop', 'iterations x batch']
MIOU = ['mIoU reported', 'mIoU measured']
GAIN = ['Δ mIoU reported', 'mIoU measured']
NONE = '–'


@dataclass(frozen=True)
class Entry:
    """A config; ``batch`` is that of one process.

    ``network`` is the record of its costs. ``reported`` and ``measured`` are mIoU, or None;
    ``reported_difference`` is what the paper states of its ablations instead. ``measured`` has
    mean and deviation over the seeds.
    """

    name: str
    dataset: str
    backbone: str
    head: str
    loss: str
    crop: tuple[int, int]
    iterations: int
    batch: int
    network: dict
    reported: float | None
    reported_difference: float | None
    measured: tuple[float, float | None] | None

    @property
    def is_ours(self) -> bool:
        return self.name not in STOCK_NAMES


@functools.cache
def entries() -> dict[str, Entry]:
    """Every config of ours, the ablations as for VOC, and MMSegmentation's own."""
    costs = load('model_zoo')['results']
    networks = {name: network for network in costs['networks'] for name in network['configs']}
    reported = {f'{row["name"]}_voc': row['mIoU'] for row in TABLES['table_3']} | costs['stock']
    ablations = [*TABLES['table_1'], *TABLES['table_2']]
    differences = {row['name']: row['delta_mIoU'] for row in ablations}
    measured = measured_mious()
    return {
        path.stem: Entry(
            name=path.stem,
            **recipe(parse(path)),
            network=networks[path.stem],
            reported=reported.get(path.stem),
            reported_difference=differences.get(path.stem),
            measured=measured.get(path.stem),
        )
        for path in config_files()
    }


def recipe(cfg: Config) -> dict:
    loader, head = cfg.train_dataloader, cfg.model.decode_head
    dataset = loader.dataset.datasets[0] if 'datasets' in loader.dataset else loader.dataset
    normalised = ', normalised' if head.loss_decode.get('normalize') else ''
    return dict(
        dataset=DATASETS[dataset.type],
        backbone=backbone_name(cfg.model.backbone),
        head=HEADS[head.type],
        loss=LOSSES[head.loss_decode.type] + normalised,
        crop=tuple(cfg.crop_size),
        iterations=cfg.train_cfg.max_iters,
        batch=loader.batch_size,
    )


def backbone_name(backbone: ConfigDict) -> str:
    if backbone.type == 'TIMMBackbone':
        return f'{backbone.model_name}-D{backbone.output_stride}'
    stride = 4 * math.prod(backbone.strides)  # the stem shrinks by 4
    width = f', {backbone.base_channels} wide' if 'base_channels' in backbone else ''
    return f'R-{backbone.depth}-D{stride}{width}'


def measured_mious() -> dict[str, tuple[float, float | None]]:
    """mIoU of the configs that a study of the paper's tables has trained."""
    found = {}
    for study, dataset in STUDIES:
        records = read_records(ROOT / 'results' / study / dataset)
        for summary in summarise(load_study(study, dataset), records, 'mIoU'):
            suffix = f'_{dataset}' if study == 'table3' else ''
            found[summary.row + suffix] = (summary.mean, summary.deviation)
    return found


def blocks() -> dict[str, str]:
    """Every marked block of configs/README.md."""

    def family(dataset: str) -> list[str]:
        return [f'{row["name"]}_{dataset}' for row in TABLES['table_3']]

    found = load('model_zoo')['environment']
    return dict(
        voc=config_table([*family('voc'), 'pac_bal_voc_d8', *STOCK_NAMES]),
        camvid=config_table(family('camvid')),
        mini=config_table([*family('camvid_mini'), 'pac_bal_demo']),
        scores=score_table('camvid_lite0', 'camvid_mini'),
        table_1=bal_table(),
        table_2=pac_table(),
        machine=(
            f'Speed: {found["machine"]}, torch {found["torch"]}, float32, one image at a time; '
            f'commit {found["commit"]}, {found["date"]}.'
        ),
    )


def config_table(names: list[str]) -> str:
    rows = [
        [
            f'[`{name}`]({name}.py)' if entry.is_ours else f'`mmseg::deeplabv3/{name}`',
            *recipe_cells(vars(entry)),
            *costs(entry.network),
            NONE if entry.reported is None else f'{entry.reported:.2f}',
            measured(entry),
        ]
        for name, entry in ((name, entries()[name]) for name in names)
    ]
    head = ['config', *RECIPE, *COSTS, *MIOU]
    return to_markdown(head, rows, left=4)


def recipe_cells(found: dict) -> list[str]:
    """The columns of ``RECIPE``, from what :func:`recipe` gives."""
    return [
        f'{found["backbone"]}, {found["head"]}',
        found['loss'],
        'x'.join(map(str, found['crop'])),
        f'{found["iterations"]:,} x {found["batch"]}',
    ]


def score_table(*datasets: str) -> str:
    """Mean and deviation of every primary measure of the rows of Table 3."""
    head = ['config', *RECIPE, 'seeds', *PRIMARY]
    return to_markdown(head, [row for name in datasets for row in score_rows(name)], left=4)


def score_rows(dataset: str) -> list[list[str]]:
    study = load_study('table3', dataset)
    records = read_records(ROOT / 'results' / 'table3' / dataset)
    rows = []
    for columns in zip(*(summarise(study, records, metric) for metric in PRIMARY), strict=True):
        name = f'{columns[0].row}_{dataset}'
        rows.append(
            [
                f'[`{name}`]({name}.py)',
                *recipe_cells(recipe(parse(ROOT / 'configs' / f'{name}.py'))),
                str(columns[0].seeds),
                *(with_deviation(column.mean, column.deviation) for column in columns),
            ]
        )
    return rows


def bal_table() -> str:
    """Table 1; its rows differ in the loss alone, so no costs are shown."""
    keys = ('kernel', 'downsample', 'kernel_size', 'sigma', 'beta')
    rows = []
    for entry in ablation('table_1'):
        loss = decode_head(entry).loss_decode
        settings = {key: str(loss[key]) for key in keys}
        if loss.kernel == 'linear':
            settings['sigma'] = ''  # Eq. 6 has none
        rows.append([link(entry), *settings.values(), *gain(entry)])
    return to_markdown(['config', 'kernel', 'down', 'size', 'σ', 'β', *GAIN], rows, left=2)


def pac_table() -> str:
    rows = []
    for entry in ablation('table_2'):
        head = decode_head(entry)
        rates = ', '.join(map(str, head['rates']))
        rows.append([link(entry), rates, head['merge'], *costs(entry.network), *gain(entry)])
    return to_markdown(['config', 'rates', 'merge', *COSTS, *GAIN], rows, left=3)


def ablation(table: str) -> list[Entry]:
    return [entries()[row['name']] for row in TABLES[table]]


def decode_head(entry: Entry) -> ConfigDict:
    return parse(ABLATION / f'{entry.name}.py').model.decode_head


def gain(entry: Entry) -> list[str]:
    return [f'{entry.reported_difference:+.2f}', measured(entry)]


def measured(entry: Entry) -> str:
    return NONE if entry.measured is None else with_deviation(*entry.measured)


def with_deviation(mean: float, deviation: float | None) -> str:
    return f'{mean:.2f}' + ('' if deviation is None else f' ± {deviation:.2f}')


def link(entry: Entry) -> str:
    return f'[`{entry.name}`](ablation/{entry.name}.py)'
