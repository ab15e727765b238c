"""The model zoo's page and index say what was measured, of every config there is."""

import pytest
import yaml
from mmengine.analysis import parameter_count
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.registry import init_default_scope

from benchmarks.metafile import metafile
from benchmarks.model_zoo import STOCK_NAMES, build, config_files, count_flops, distinct_networks
from benchmarks.model_zoo_tables import entries
from benchmarks.records import load as load_record
from tests.test_benchmarks import REMAKE
from tests.test_configs import CONFIGS

PAGE = CONFIGS / 'README.md'  # tests/test_benchmarks.py compares its tables
METAFILE = CONFIGS / 'metafile.yml'


@pytest.fixture(scope='module')
def zoo() -> dict:
    return entries()


@pytest.mark.slow
def test_metafile_is_that_of_the_figures():
    assert METAFILE.read_text() == metafile(), REMAKE


def test_page_lists_every_config():
    text = PAGE.read_text()
    for path in config_files()[: -len(STOCK_NAMES)]:
        assert f'({path.relative_to(CONFIGS).as_posix()})' in text
    assert all(name in text for name in STOCK_NAMES)


def test_index_in_the_form_of_mmsegmentation():
    assert load(CONFIGS.parent / 'model-index.yml') == dict(Import=['configs/metafile.yml'])
    models = yaml.safe_load(METAFILE.read_text())['Models']
    listed = {CONFIGS.parent / model['Config'] for model in models}
    assert listed == set(config_files()[: -len(STOCK_NAMES)])
    assert not any('Weights' in model for model in models)


@pytest.mark.slow
def test_reported_figures(zoo):
    reported = [zoo[f'{row}_voc'].reported for row in ('deeplabv3', 'pac', 'bal', 'pac_bal')]
    assert reported == [76.68, 76.97, 77.64, 77.93]
    assert [zoo[name].reported for name in STOCK_NAMES] == [78.70, 77.92]
    assert zoo['pac_r1-3-5-7-9_sum'].reported_difference == 0.29
    # What is reported is on VOC; of nothing else is it claimed.
    assert all(entry.reported is None for name, entry in zoo.items() if 'camvid' in name)


@pytest.mark.slow
def test_recipe_is_read_off_the_config(zoo):
    entry = zoo['pac_bal_voc']
    assert (entry.backbone, entry.head, entry.loss) == ('R-101-D16', 'PAC', 'BAL')
    assert (entry.crop, entry.iterations, entry.batch) == ((513, 513), 30000, 8)
    assert entry.dataset == 'Pascal VOC 2012 + Aug'
    assert zoo['bal_camvid'].loss == 'BAL, normalised'


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
    networks = load_record('model_zoo')['results']['networks']
    network = next(network for network in networks if name in network['configs'])
    model = build(Config.fromfile(CONFIGS / f'{name}.py'))
    assert parameter_count(model)[''] == network['parameters']
    assert count_flops(model, network['input']) == network['flops']


@pytest.mark.slow
def test_configs_that_share_figures_differ_in_the_loss_alone():
    measured = load_record('model_zoo')['results']['networks']
    networks = [network['configs'] for network in distinct_networks()]
    assert [network['configs'] for network in measured] == networks
    shared = next(names for names in networks if 'bal_voc' in names)
    assert {'deeplabv3_voc', 'bal_linear_d1_k15_b03'} <= set(shared)
    assert 'pac_voc' not in shared
