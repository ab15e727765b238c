"""Write the tables of configs/README.md, and configs/metafile.yml, from measured figures.

python -m benchmarks.model_zoo_page   after python -m benchmarks.model_zoo, or after a study

Parameters, FLOPs and speed come from benchmarks/results, measured mIoU from results/, reported
mIoU from configs/ablation/paper_tables.yml and MMSegmentation, recipes from the configs.
"""

import yaml
from mmengine.config import Config, ConfigDict

from benchmarks.harness import ROOT
from benchmarks.markdown import fill
from benchmarks.model_zoo import STOCK_NAMES
from benchmarks.model_zoo_entries import TABLES, Entry, entries, environment, is_ours
from mmseg_pacbal.markdown import to_markdown

CONFIGS = ROOT / 'configs'
PAGE = CONFIGS / 'README.md'
METAFILE = CONFIGS / 'metafile.yml'
NONE = '–'
HEADING = """\
# Written by `python -m benchmarks.model_zoo_page`. No weights are published, so no entry has any;
# `Results` were measured, what the paper reports is in `Metadata`.
"""
TITLE = 'Semantic Image Segmentation with Pyramid Atrous Convolution and Boundary-aware Loss'


def main() -> None:
    PAGE.write_text(page(PAGE.read_text(), entries(), environment()))
    METAFILE.write_text(metafile(entries(), environment()))
    print(f'written to {PAGE} and {METAFILE}')


def page(text: str, zoo: dict[str, Entry], place: dict) -> str:
    """The page with its tables made anew, each between a comment that names it and ``end``."""

    def family(dataset: str) -> list[str]:
        return [f'{row["name"]}_{dataset}' for row in TABLES['table_3']]

    tables = dict(
        voc=config_table(zoo, [*family('voc'), 'pac_bal_voc_d8', *STOCK_NAMES]),
        camvid=config_table(zoo, family('camvid')),
        mini=config_table(zoo, [*family('camvid_mini'), 'pac_bal_demo']),
        table_1=bal_table(zoo),
        table_2=pac_table(zoo),
        machine=(
            f'Speed: {place["machine"]}, torch {place["torch"]}, float32, one image at a time; '
            f'commit {place["commit"]}, {place["date"]}.'
        ),
    )
    return fill(text, tables)


def config_table(zoo: dict[str, Entry], names: list[str]) -> str:
    rows = [
        [
            f'[`{name}`]({name}.py)' if is_ours(zoo[name]) else f'`mmseg::deeplabv3/{name}`',
            f'{zoo[name].backbone}, {zoo[name].head}',
            zoo[name].loss,
            'x'.join(map(str, zoo[name].crop)),
            f'{zoo[name].iterations:,} x {zoo[name].batch}',
            *costs(zoo[name]),
            NONE if zoo[name].reported is None else f'{zoo[name].reported:.2f}',
            measured(zoo[name]),
        ]
        for name in names
    ]
    titles = ['config', 'network', 'loss', 'crop', 'iterations x batch', *COSTS]
    return to_markdown([*titles, 'mIoU reported', 'mIoU measured'], rows, left=4)


def bal_table(zoo: dict[str, Entry]) -> str:
    """Table 1; its rows differ in the loss alone, so no costs are shown."""
    keys = ('kernel', 'downsample', 'kernel_size', 'sigma', 'beta')
    rows = []
    for row in TABLES['table_1']:
        loss = head(row['name']).loss_decode
        settings = {key: str(loss[key]) for key in keys}
        if loss.kernel == 'linear':
            settings['sigma'] = ''  # Eq. 6 has none
        rows.append([link(row), *settings.values(), *gain(zoo[row['name']])])
    return to_markdown(['config', 'kernel', 'down', 'size', 'σ', 'β', *GAIN], rows, left=2)


def pac_table(zoo: dict[str, Entry]) -> str:
    rows = []
    for row in TABLES['table_2']:
        entry, settings = zoo[row['name']], head(row['name'])
        rates = ', '.join(map(str, settings['rates']))
        rows.append([link(row), rates, settings['merge'], *costs(entry), *gain(entry)])
    return to_markdown(['config', 'rates', 'merge', *COSTS, *GAIN], rows, left=3)


def head(name: str) -> ConfigDict:
    """The decode head of a row of tables 1 and 2."""
    return Config.fromfile(CONFIGS / 'ablation' / f'{name}.py').model.decode_head


COSTS = ['parameters (M)', 'GFLOPs', 'images/s']
GAIN = ['Δ mIoU reported', 'mIoU measured']


def costs(entry: Entry) -> list[str]:
    figures = (entry.parameters / 1e6, entry.flops / 1e9, 1 / entry.seconds)
    return [f'{figure:.2f}' for figure in figures]


def gain(entry: Entry) -> list[str]:
    return [f'{entry.reported_difference:+.2f}', measured(entry)]


def measured(entry: Entry) -> str:
    if entry.measured is None:
        return NONE
    mean, deviation = entry.measured
    return f'{mean:.2f}' + ('' if deviation is None else f' ± {deviation:.2f}')


def link(row: dict) -> str:
    return f'[`{row["name"]}`](ablation/{row["name"]}.py)'


def metafile(zoo: dict[str, Entry], place: dict) -> str:
    """configs/metafile.yml, in MMSegmentation's form."""
    ours = [entry for entry in zoo.values() if is_ours(entry)]
    collection = dict(
        Name='PAC and BAL',
        License='Apache License 2.0',
        Metadata={'Training Data': sorted({entry.dataset for entry in ours})},
        Paper=dict(Title=TITLE),
        README='configs/README.md',
        Frameworks=['PyTorch'],
    )
    content = dict(Collections=[collection], Models=[model(entry, place) for entry in ours])
    return HEADING + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def model(entry: Entry, place: dict) -> dict:
    folder = 'configs' if entry.reported_difference is None else 'configs/ablation'
    content = {'Name': entry.name, 'In Collection': 'PAC and BAL'}
    if entry.measured is not None:
        miou = dict(mIoU=round(entry.measured[0], 2))
        content['Results'] = dict(Task='Semantic Segmentation', Dataset=entry.dataset, Metrics=miou)
    return {
        **content,
        'Config': f'{folder}/{entry.name}.py',
        'Metadata': metadata(entry, place),
        'Paper': dict(Title=TITLE),
        'Framework': 'PyTorch',
    }


def metadata(entry: Entry, place: dict) -> dict:
    speed = {
        'value': round(1e3 * entry.seconds, 1),
        'hardware': place['machine'],
        'backend': 'PyTorch',
        'batch size': 1,
        'mode': 'FP32',
        'resolution': f'({entry.crop[0]},{entry.crop[1]})',
    }
    content = {
        'Training Data': entry.dataset,
        'Batch Size of a Process': entry.batch,
        'Iterations': entry.iterations,
        'Architecture': [entry.backbone, entry.head, entry.loss],
        'Parameters': entry.parameters,
        'FLOPs': entry.flops,
        'inference time (ms/im)': [speed],
    }
    if entry.reported is not None:
        content['mIoU reported by the paper'] = entry.reported
    if entry.reported_difference is not None:
        content['mIoU difference reported by the paper'] = entry.reported_difference
    return content


if __name__ == '__main__':
    main()
