"""The model zoo's page and index say what was measured, of every config there is."""

import pytest
import yaml
from mmengine.analysis import parameter_count
from mmengine.config import Config
from mmengine.registry import init_default_scope

from benchmarks import model_zoo
from benchmarks.model_zoo import STOCK_NAMES, TABLES, build, config_files, count_flops
from benchmarks.records import load
from tests.test_configs import CONFIGS, parse

PAGE = (CONFIGS / 'README.md').read_text()  # tests/test_benchmarks.py compares its tables
MODELS = yaml.safe_load((CONFIGS / 'metafile.yml').read_text())['Models']
NETWORKS = load('model_zoo')['results']['networks']


def network_of(name: str) -> dict:
    return next(network for network in NETWORKS if name in network['configs'])


def test_page_and_index_list_every_config():
    ours = config_files()[: -len(STOCK_NAMES)]
    assert all(f'({path.relative_to(CONFIGS).as_posix()})' in PAGE for path in ours)
    assert all(name in PAGE for name in STOCK_NAMES)
    index = yaml.safe_load((CONFIGS.parent / 'model-index.yml').read_text())
    assert index == dict(Import=['configs/metafile.yml'])
    assert {CONFIGS.parent / model['Config'] for model in MODELS} == set(ours)
    assert not any('Weights' in model for model in MODELS)


@pytest.mark.slow
@pytest.mark.parametrize('model', MODELS, ids=lambda model: model['Name'])
def test_index_says_what_config_and_records_say(model):
    name, said = model['Name'], model['Metadata']
    network, cfg = network_of(name), parse(model['Config'].removeprefix('configs/'))
    network_cell, *_ = model_zoo.recipe(CONFIGS.parent / model['Config'])
    assert ', '.join(said['Architecture'][:2]) == network_cell
    assert said['Batch Size of a Process'] == cfg.train_dataloader.batch_size
    assert said['Iterations'] == cfg.train_cfg.max_iters
    assert (said['Parameters'], said['FLOPs']) == (network['parameters'], network['flops'])
    reported = {f'{row["name"]}_voc': row['mIoU'] for row in TABLES['table_3']}
    assert said.get('mIoU reported by the paper') == reported.get(name)
    differences = {row['name']: row['delta_mIoU'] for t in (1, 2) for row in TABLES[f'table_{t}']}
    assert said.get('mIoU difference reported by the paper') == differences.get(name)
    miou = model['Results']['Metrics']['mIoU'] if 'Results' in model else None
    measured = model_zoo.measured().get(name, '').partition(' ')[0]
    assert ('' if miou is None else f'{miou:.2f}') == measured


@pytest.mark.slow
def test_figures_that_are_reported():
    row = '| [`pac_bal_voc`](pac_bal_voc.py) | R-101-D16, PAC | BAL | 513x513 | 30,000 x 8 |'
    (line,) = (line for line in PAGE.splitlines() if line.startswith(row))
    assert line.endswith('| 77.93 | – |')
    assert list(model_zoo.stock_mious().values()) == [78.70, 77.92]
    # What is reported is on VOC; of nothing else is it claimed.
    camvid = [line for line in PAGE.splitlines() if 'camvid' in line and line.count('|') == 11]
    assert len(camvid) == 10
    assert all(line.split('|')[9] == ' – ' for line in camvid)


def test_flops_of_pac_are_those_of_one_convolution():
    """Five rates share the products; what a convolution costs is counted by mmengine itself."""
    init_default_scope('mmseg')
    flops = []
    for rates in ((1, 3, 5, 7, 9), (1,)):
        cfg = Config.fromfile(CONFIGS / 'pac_bal_demo.py')
        cfg.model.decode_head.rates = rates  # one rate is a plain convolution
        flops.append(count_flops(build(cfg), (64, 64)))
    assert flops[0] == flops[1]


@pytest.mark.parametrize(
    'name',
    [
        'pac_bal_demo',
        'deeplabv3_camvid_mini',
        pytest.param('pac_bal_voc', marks=pytest.mark.slow),
        pytest.param('deeplabv3_voc', marks=pytest.mark.slow),
    ],
)
def test_figures_are_of_this_network(name):
    init_default_scope('mmseg')
    network, model = network_of(name), build(Config.fromfile(CONFIGS / f'{name}.py'))
    assert parameter_count(model)[''] == network['parameters']
    assert count_flops(model, network['input']) == network['flops']


@pytest.mark.slow
def test_configs_that_share_figures_differ_in_the_loss_alone():
    networks = [network['configs'] for network in model_zoo.distinct_networks()]
    assert [network['configs'] for network in NETWORKS] == networks
    shared = next(names for names in networks if 'bal_voc' in names)
    assert {'deeplabv3_voc', 'bal_linear_d1_k15_b03'} <= set(shared)
    assert 'pac_voc' not in shared
