"""Every row of tables 1 and 2 is a config that says exactly what the paper prints."""

import re

import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import load as load_file

from mmseg_pacbal.apps.study.plan import load_study, plan_runs
from tests.test_configs import CONFIGS, batch, build, parse

ABLATION = CONFIGS / 'ablation'
TABLES = load_file(ABLATION / 'paper_tables.yml')
ROWS = [*TABLES['table_1'], *TABLES['table_2']]
BAL = ('kernel', 'downsample', 'kernel_size', 'sigma', 'beta')
PAC = ('rates', 'merge')
PAPER = CONFIGS.parent.parent / 'shared' / 'paper'


def load(name: str) -> Config:
    return parse(f'ablation/{name}.py')


def settings(name: str) -> dict:
    """What a row is, read from its config; the linear kernel has no sigma."""
    head = load(name).model.decode_head
    if name.startswith('pac'):
        return {key: to_lists(head[key]) for key in PAC}
    return {
        key: head.loss_decode[key]
        for key in BAL
        if key != 'sigma' or head.loss_decode.kernel == 'gaussian'
    }


def test_every_row_is_a_config_and_every_config_a_row():
    names = [row['name'] for row in ROWS]
    assert (len(TABLES['table_1']), len(TABLES['table_2'])) == (14, 7)
    assert sorted(names) == sorted(path.stem for path in ABLATION.glob('*.py'))


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row['name'])
def test_a_row_stands_once(row):
    """Its settings in the config, what the paper reports for it in the YAML."""
    assert set(row) == {'name', 'delta_mIoU'}
    assert str(row['delta_mIoU']) not in (ABLATION / f'{row["name"]}.py').read_text()


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row['name'])
def test_names(row):
    said = settings(row['name'])
    if 'rates' in said:
        name = f'pac_r{"-".join(map(str, said["rates"]))}_{said["merge"]}'
    else:
        name = f'bal_{said["kernel"]}_d{said["downsample"]}_k{said["kernel_size"]}'
        name += f'_s{said["sigma"]:.0f}' if 'sigma' in said else ''
        name += f'_b0{10 * said["beta"]:.0f}'
    assert row['name'] == name


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row['name'])
def test_changes_nothing_else(row):
    family = row['name'].partition('_')[0]  # bal or pac
    cfg, base = load(row['name']).to_dict(), parse(f'{family}_voc.py').to_dict()
    for tree in (cfg, base):
        head = tree['model']['decode_head']
        for key in BAL if family == 'bal' else PAC:
            (head['loss_decode'] if family == 'bal' else head).pop(key, None)
    assert cfg == base


def to_lists(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    ('table', 'name'),
    [
        ('table1', 'bal_linear_d1_k15_b03'),
        ('table1', 'bal_gaussian_d4_k25_s1_b03'),
        ('table2', 'pac_r6-12-18-24_concat'),
    ],
)
def test_trains_one_step_on_other_data(table, name):
    (run,) = plan_runs(load_study(table, 'camvid'), [name], [0], {})
    model = build(run.cfg).train()

    losses = model.loss(*batch(model.decode_head.num_classes))
    loss = sum(value for key, value in losses.items() if 'loss' in key)
    loss.backward()

    assert torch.isfinite(loss)
    assert loss > 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize('dataset', ['voc', 'camvid_mini'])
@pytest.mark.parametrize('table', ['table1', 'table2'])
def test_a_study_takes_rows_onto_the_configs_of_its_data(table, dataset):
    study = load_study(table, dataset)
    runs = plan_runs(study, study.rows, [0], {})
    assert len({run.fingerprint for run in runs}) == len(runs) == dict(table1=15, table2=8)[table]
    for run in runs[1:]:
        head = run.cfg.model.decode_head
        where = head.loss_decode if table == 'table1' else head
        said = settings(run.row)
        assert {key: to_lists(where[key]) for key in said} == said
        own = parse(f'{"bal" if table == "table1" else "pac"}_{dataset}.py')
        assert run.cfg.train_dataloader.batch_size == own['train_dataloader']['batch_size']
        assert head.num_classes == own['model']['decode_head']['num_classes']
        if table == 'table1':  # the scale of the loss is the data set's
            own_loss = own['model']['decode_head']['loss_decode']
            assert head.loss_decode.get('normalize') == own_loss.get('normalize')


def test_tables_are_those_of_the_paper():
    """Read again from the paper's text, where it is at hand."""
    texts = sorted(PAPER.glob('*.txt'))
    if not texts:
        pytest.skip("the paper's text is not beside this checkout")
    lines = texts[0].read_text(encoding='utf-8').splitlines()

    printed = [line.split('\t') for line in lines if re.match(r'(linear|gaussian)\t', line)]
    keys = ('kernel', 'downsample', 'kernel_size', 'sigma', 'beta', 'delta_mIoU')
    rows = [{**settings(row['name']), **row} for row in TABLES['table_1']]
    found = [[str(row.get(key, '')) for key in keys] for row in rows]
    assert found == printed

    printed = [line.split('\t') for line in lines if re.match(r'\d\t[\d,]+\t', line)]
    found = [
        [str(len(row['rates'])), ','.join(map(str, row['rates'])), row['merge'], row['delta_mIoU']]
        for row in ({**settings(row['name']), **row} for row in TABLES['table_2'])
    ]
    # The tick is printed in the column of concat or of sum.
    columns = [[r[0], r[1], 'concat' if r[2] else 'sum', float(r[4])] for r in printed]
    assert found == columns

    printed = dict(line.split('\t') for line in lines if re.match(r'(DeepLab|ResNet).*\t7', line))
    assert {row['method']: str(row['mIoU']) for row in TABLES['table_3']} == printed
