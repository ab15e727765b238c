"""Configs of others inherit ours, however the package and the stack were installed."""

import re
import sys
from pathlib import Path

import mmseg
import pytest
from mmengine.config import Config, utils
from mmengine.config import config as config_module
from yapf.yapflib import yapf_api

import mmseg_pacbal
from mmseg_pacbal import configs, registration
from tests.environments import LOCAL, Environment, build_wheel, copy_checkout

FORMS = {
    'helper': "__import__('mmseg_pacbal').config('pac_bal_demo.py')",
    'scheme': "'mmseg_pacbal::pac_bal_demo.py'",
}
# Whichever form inherits it, the demo says the same.
PARSE = """
import sys, mmseg_pacbal
from mmengine.config import Config
print(mmseg_pacbal.__file__)
print(Config.fromfile('helper.py').to_dict() == Config.fromfile('scheme.py').to_dict())
print(Config.fromfile('scheme.py').model.decode_head.rates)
"""
PARSE_ALL = """
import mmseg_pacbal, pathlib
from importlib.metadata import distributions
from mmengine.config import Config
root = pathlib.Path(mmseg_pacbal.config('pac_bal_voc.py')).parent
files = [path for path in root.rglob('*.py') if '_base_' not in path.parts]
for module in ('mmengine', 'mmseg'):
    init = pathlib.PurePosixPath(module, '__init__.py')
    print(module, 'of', [d.name for d in distributions() if init in (d.files or ())])
print(len(files), {Config.fromfile(path).model.type for path in files})
"""
SHORT = (
    *('--work-dir', 'run', '--cfg-options', 'data_root=data', 'crop_size=32,32', 'max_iters=2'),
    *('val_dataloader.dataset.indices=2', 'test_dataloader.dataset.indices=2'),
)


def write_configs(folder: Path) -> Path:
    for form, base in FORMS.items():
        text = f'_base_ = {base}\nmodel = dict(decode_head=dict(rates=(1, 2)))\n'
        (folder / f'{form}.py').write_text(text)
    return folder


@pytest.mark.parametrize('form', FORMS)
def test_inherits(form, tmp_path):
    cfg = Config.fromfile(write_configs(tmp_path) / f'{form}.py')
    assert cfg.model.decode_head.rates == (1, 2)
    cfg.model.decode_head.rates = (1, 3, 5, 7, 9)
    # No scope of our own is written into it: our modules are in MMSegmentation's registries.
    assert cfg.to_dict() == Config.fromfile(mmseg_pacbal.config('pac_bal_demo.py')).to_dict()


def test_a_name_in_a_folder(tmp_path):
    mine = tmp_path / 'mine.py'
    mine.write_text("_base_ = 'mmseg_pacbal::ablation/pac_r1-3-5_concat.py'\n")
    assert Config.fromfile(mine).model.decode_head['merge'] == 'concat'


def test_a_shipped_config_is_found_where_a_clone_has_it(tmp_path, monkeypatch, capsys):
    """So the commands of the pages hold with a wheel; a file of the user's comes first."""
    monkeypatch.chdir(tmp_path)
    for name in ('pac_bal_demo.py', 'ablation/pac_r1-3-5_concat.py'):
        cfg = configs.load_config(f'configs/{name}')
        assert cfg.filename == mmseg_pacbal.config(name)
        said = f'config: configs/{name} is the one of this package, {cfg.filename}\n'
        assert capsys.readouterr().out == said
    (tmp_path / 'configs').mkdir()
    (tmp_path / 'configs' / 'pac_bal_demo.py').write_text('mine = 1\n')
    assert configs.load_config('configs/pac_bal_demo.py').mine == 1
    for path in ('configs/nothing.py', 'pac_bal_voc.py', 'other/pac_bal_voc.py'):
        with pytest.raises(FileNotFoundError, match=f'config {path} does not exist'):
            configs.load_config(path)


def test_an_unknown_name_lists_what_there_is(tmp_path):
    mine = tmp_path / 'mine.py'
    mine.write_text("_base_ = 'mmseg_pacbal::nothing.py'\n")
    for find in (lambda: Config.fromfile(mine), lambda: mmseg_pacbal.config('nothing.py')):
        with pytest.raises(FileNotFoundError, match=r"no config 'nothing\.py'.*pac_bal_voc\.py"):
            find()


def test_a_base_of_mmsegmentation_is_found_by_its_folder(tmp_path, monkeypatch):
    """Without its metafiles, the name of its distribution, or the gone pkg_resources."""
    monkeypatch.setattr(utils, '_get_cfg_metainfo', lambda *_: pytest.fail('reads metafiles'))
    folder = Path(mmseg.__file__).parent
    name = 'fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py'
    expected = str(folder / '.mim' / 'configs' / name), 'mmseg'
    assert Config._get_cfg_path(f'mmseg::{name}', 'mine.py') == expected
    mine = tmp_path / 'mine.py'
    other = tmp_path / 'other_package'
    other.mkdir()
    (other / '__init__.py').touch()
    (other / 'base.py').write_text('max_iters = 7\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, 'pkg_resources', None)
    mine.write_text(
        'from mmengine.config import read_base\n'
        'with read_base():\n    from other_package.base import *\n'
    )
    assert Config.fromfile(mine).max_iters == 7
    with pytest.raises(FileNotFoundError, match=r'mmseg::fcn/nothing\.py does not exist'):
        Config._get_cfg_path('mmseg::fcn/nothing.py', 'mine.py')
    with pytest.raises(ModuleNotFoundError, match='mmnothing is not installed'):
        Config._get_cfg_path('mmnothing::fcn.py', 'mine.py')


def test_an_unchanged_config_is_formatted_once(monkeypatch):
    plain, formatted = yapf_api.FormatCode, []

    def counted(text: str, **options) -> tuple[str, bool]:
        formatted.append(text)
        return plain(text, **options)

    monkeypatch.setattr(config_module, 'FormatCode', counted)
    registration.format_once()
    cfg = Config(dict(model=dict(a=[1, 2])))
    assert [cfg.pretty_text for _ in range(3)] == ['model = dict(a=[\n    1,\n    2,\n])\n'] * 3
    assert len(formatted) == 1
    cfg.model.a = 3
    assert (cfg.pretty_text, len(formatted)) == ('model = dict(a=3)\n', 2)
    monkeypatch.delattr(config_module, 'FormatCode')  # as in the maintained fork
    registration.format_once()


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    return build_wheel(tmp_path_factory.mktemp('build'))


@pytest.fixture(scope='module', params=['wheel', 'editable'])
def installed(request, tmp_path_factory) -> tuple[Environment, Path]:
    """An environment and the folder in which the package lies."""
    folder = tmp_path_factory.mktemp(request.param)
    environment = Environment(folder / 'environment')
    if request.param == 'wheel':
        environment.install(*LOCAL, request.getfixturevalue('wheel'))
        return environment, folder / 'environment'
    source = copy_checkout(folder / 'checkout')
    environment.install(*LOCAL, '--editable', source)
    return environment, source


@pytest.mark.slow
def test_inherits_from_an_installation(installed, tmp_path):
    environment, place = installed
    write_configs(tmp_path)
    file, same, rates = environment.run(environment.python, '-c', PARSE, cwd=tmp_path).splitlines()
    assert Path(file).is_relative_to(place)
    assert (same, rates) == ('True', '(1, 2)')
    helped = environment.run(environment.bin / 'pacbal', 'demo', '--help', cwd=tmp_path)
    assert helped.startswith('usage: pacbal demo ')


@pytest.mark.slow
def test_mim_trains(installed, tmp_path):
    environment, place = installed
    # openmim looks for files below site-packages, where an editable install puts none; its
    # successor knows editable installs, but looks for those of a wheel in the wrong folder.
    is_wheel = place.name == 'environment'
    if is_wheel and sys.version_info >= (3, 12):
        pytest.skip('openmim 0.3.9 brings a setuptools of 2022, which Python 3.12 cannot import')
    environment.install_from_index('openmim==0.3.9' if is_wheel else 'onedl-mim==0.5.1')
    write_configs(tmp_path)
    mim = (environment.bin / 'mim', 'train', 'mmseg_pacbal', 'scheme.py')
    printed = environment.run(*mim, *SHORT, cwd=tmp_path)
    script = re.search(r'Training command is \S+ (\S+)', printed)[1]
    assert Path(script).is_relative_to(place)
    assert (tmp_path / 'run' / 'iter_2.pth').is_file()


@pytest.mark.long
def test_the_maintained_fork(wheel, tmp_path):
    """With the fork in place of the stock packages configs parse, train and test."""
    environment = Environment(tmp_path / 'environment', without=('mmengine', 'mmseg'))
    fork = ('onedl-mmengine==0.10.12', 'onedl-mmsegmentation==1.4.2')
    environment.install_from_index(*fork, deps=False)
    environment.install(*LOCAL, wheel)
    python = environment.python

    *_, engine, seg, parsed = environment.run(python, '-c', PARSE_ALL, cwd=tmp_path).splitlines()
    assert engine == "mmengine of ['onedl-mmengine']"
    assert seg == "mmseg of ['onedl-mmsegmentation']"
    count, types = parsed.split()
    assert (int(count) >= 30, types) == (True, "{'EncoderDecoder'}")

    write_configs(tmp_path)
    tools = next((tmp_path / 'environment').rglob('mmseg_pacbal/.mim/tools'))
    environment.run(python, tools / 'train.py', 'scheme.py', *SHORT, cwd=tmp_path)
    tested = environment.run(
        *(python, tools / 'test.py', 'scheme.py', tmp_path / 'run' / 'iter_2.pth'),
        *SHORT,
        cwd=tmp_path,
    )
    assert re.search(r'mIoU: \d', tested)


@pytest.mark.parametrize(
    ('option', 'close'),
    [
        ('optimiser.lr', 'optimizer'),
        ('train_dataloader.num_worker', 'num_workers'),
        ('test_dataloader.dataset.data_prefx.img_path', 'data_prefix'),
        ('model.decode_head.loss_decode.kernal_size', 'kernel_size'),
        ('my_note', ''),
        ('optimizer.lr', ''),
    ],
)
def test_a_key_that_is_almost_one_that_is_there_is_told(option, close, capsys):
    configs.load_config('configs/pac_bal_demo.py', {option: 3})
    said = f'config: {option} is new, maybe read by nothing; {close} is there'
    assert (said in capsys.readouterr().out) == bool(close)
