"""Every row of tables 1 and 2 is a config that says exactly what the paper prints."""

import copy
import functools
import re

import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import load as load_file

from tests.test_configs import CONFIGS, batch, build

ABLATION = CONFIGS / 'ablation'
TABLES = load_file(ABLATION / 'paper_tables.yml')
ROWS = [*TABLES['table_1'], *TABLES['table_2']]
PAPER = CONFIGS.parent.parent / 'shared' / 'paper'


def load(name: str, dataset: str, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv('DATASET', dataset)
    return Config.fromfile(ABLATION / f'{name}.py')


def test_every_row_is_a_config_and_every_config_a_row():
    names = [row['name'] for row in ROWS]
    assert (len(TABLES['table_1']), len(TABLES['table_2'])) == (14, 7)
    assert sorted(names) == sorted(path.stem for path in ABLATION.glob('*.py'))


@pytest.mark.parametrize('row', TABLES['table_1'], ids=lambda row: row['name'])
def test_names_of_table_1(row):
    beta, sigma = (str(row.get(key, '')).replace('.', '') for key in ('beta', 'sigma'))
    name = f'bal_{row["kernel"]}_d{row["downsample"]}_k{row["kernel_size"]}'
    assert row['name'] == name + (f'_s{sigma[0]}' if sigma else '') + f'_b{beta}'
    assert ('sigma' in row) == (row['kernel'] == 'gaussian')


@pytest.mark.parametrize('row', TABLES['table_2'], ids=lambda row: row['name'])
def test_names_of_table_2(row):
    assert row['name'] == f'pac_r{"-".join(map(str, row["rates"]))}_{row["merge"]}'


@pytest.mark.parametrize('dataset', ['voc', pytest.param('camvid', marks=pytest.mark.slow)])
@pytest.mark.parametrize('row', ROWS, ids=lambda row: row['name'])
def test_says_its_row_and_changes_nothing_else(row, dataset, monkeypatch):
    family = row['name'].partition('_')[0]  # bal or pac
    cfg = load(row['name'], dataset, monkeypatch).to_dict()
    base = copy.deepcopy(load_base(f'{family}_{dataset}.py'))
    said = {key: value for key, value in row.items() if key not in ('name', 'delta_mIoU')}
    heads = [tree['model']['decode_head'] for tree in (cfg, base)]
    settings, in_base = [head['loss_decode'] for head in heads] if family == 'bal' else heads
    assert {key: to_lists(settings[key]) for key in said} == said

    for key in said:
        del settings[key]
        in_base.pop(key, None)
    assert cfg == base


@functools.cache
def load_base(name: str) -> dict:
    return Config.fromfile(CONFIGS / name).to_dict()


def to_lists(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    'name',
    ['bal_linear_d1_k15_b03', 'bal_gaussian_d4_k25_s1_b03', 'pac_r6-12-18-24_concat'],
)
def test_trains_one_step(name, monkeypatch):
    model = build(load(name, 'camvid', monkeypatch)).train()

    losses = model.loss(*batch(model.decode_head.num_classes))
    loss = sum(value for key, value in losses.items() if 'loss' in key)
    loss.backward()

    assert torch.isfinite(loss)
    assert loss > 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_the_switch_survives_dump_and_has_a_default(tmp_path, monkeypatch):
    """The config that a run writes into its work dir needs no switch to be read again."""
    cfg = load('pac_r1-3-5_concat', 'camvid', monkeypatch)
    cfg.dump(tmp_path / 'dumped.py')
    monkeypatch.delenv('DATASET')
    assert Config.fromfile(tmp_path / 'dumped.py').to_dict() == cfg.to_dict()
    assert cfg.model.decode_head.num_classes == 11
    by_default = Config.fromfile(ABLATION / 'pac_r1-3-5_concat.py')
    assert by_default.model.decode_head.num_classes == 21


def test_an_unknown_data_set_is_named(monkeypatch):
    with pytest.raises(FileNotFoundError, match=r'pac_nowhere\.py'):
        load('pac_r1-3-5_concat', 'nowhere', monkeypatch)


def test_tables_are_those_of_the_paper():
    """Read again from the paper's text, where it is at hand."""
    texts = sorted(PAPER.glob('*.txt'))
    if not texts:
        pytest.skip("the paper's text is not beside this checkout")
    lines = texts[0].read_text(encoding='utf-8').splitlines()

    printed = [line.split('\t') for line in lines if re.match(r'(linear|gaussian)\t', line)]
    keys = ('kernel', 'downsample', 'kernel_size', 'sigma', 'beta', 'delta_mIoU')
    found = [[str(row.get(key, '')) for key in keys] for row in TABLES['table_1']]
    assert found == printed

    printed = [line.split('\t') for line in lines if re.match(r'\d\t[\d,]+\t', line)]
    found = [
        [str(len(row['rates'])), ','.join(map(str, row['rates'])), row['merge'], row['delta_mIoU']]
        for row in TABLES['table_2']
    ]
    # The tick is printed in the column of concat or of sum.
    columns = [[r[0], r[1], 'concat' if r[2] else 'sum', float(r[4])] for r in printed]
    assert found == columns

    printed = dict(line.split('\t') for line in lines if re.match(r'(DeepLab|ResNet).*\t7', line))
    assert {row['method']: str(row['mIoU']) for row in TABLES['table_3']} == printed
