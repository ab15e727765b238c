"""What a config leaves out, sets in vain, or has from our tools alone, in one sentence each."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_pacbal import configs
from mmseg_pacbal.openmmlab import completion
from mmseg_pacbal.openmmlab.completion import load_complete_config, only_here
from tests.running import DEMO, mistake

STOCK = "_base_ = 'mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py'"
CITIES = "_base_ = 'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py'"
SEGFORMER = "_base_ = 'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py'"
SHIPPED = "_base_ = 'mmseg_pacbal::pac_bal_demo.py'"
HEADS = "auxiliary_head=[dict(type='FCNHead'), dict(type='FCNHead')]"


@pytest.fixture
def write(tmp_path):
    def write(*lines: str) -> str:
        (tmp_path / 'mine.py').write_text('\n'.join(lines) + '\n')
        return str(tmp_path / 'mine.py')

    completion.say_once.cache_clear()
    return write


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (
            'model = dict(auxiliary_head=dict(loss_decode=dict(loss_weight=0.4)))',
            'model.auxiliary_head has no type, only loss_decode, as the inherited config has no '
            'auxiliary_head to which it is added, or it was deleted; set model.auxiliary_head.type '
            'and all that the type needs, or model.auxiliary_head=None for none',
        ),
        ('model = dict(auxiliary_head=dict(_delete_=True))', 'model.auxiliary_head is empty, as '),
        ("model = dict(auxiliary_head=[dict(type='FCNHead'), dict()])", 'auxiliary_head.1 is empt'),
        (
            'model = dict(decode_head=dict(loss_decode=dict(_delete_=True, loss_weight=2.0)))',
            'model.decode_head.loss_decode has no type, only loss_weight, as ',
        ),
        ('model = dict(decode_head=None)', 'model.decode_head is missing; set model.decode_head=d'),
        ('model = dict(_delete_=True, type="EncoderDecoder")', 'model.backbone is missing; set '),
        (
            'model = dict(auxiliary_head=False)',
            'auxiliary_head must be a dict with a type, a list of them or None, but got False',
        ),
        ("model = dict(decode_head='PACHead')", "or None, but got 'PACHead'"),
        ('model = dict(_delete_=True)', 'there is no model in'),
        ('model = None', 'there is no model in'),
        ('model = dict(_delete_=True, backbone=None)', 'a model has no type in'),
    ],
)
def test_part_that_cannot_be_built(settings, sentence, write):
    with pytest.raises(ValueError) as error:
        load_complete_config(
            write(SEGFORMER if 'only loss_decode' in sentence else SHIPPED, settings)
        )
    assert sentence in str(error.value)


def test_arguments_of_another_head(write, capsys):
    path = write(STOCK)
    options = '--check', '--cfg-options', 'model.decode_head.type=PACHead'
    sentence = mistake(capsys, 'train', path, *options)
    assert 'PACHead has no argument num_convs (got 2); ' in sentence
    assert sentence.endswith('where the base has it, _delete_=True beside type leaves it out')


def test_options_are_copied_as_far_as_there_are_places(write):
    path = write("_base_ = 'mmseg::_base_/datasets/cityscapes.py'")
    options = {'crop_size': 64, 'max_iters': 5, 'optimizer.lr': 0.1, 'data_root': 'mine'}
    cfg = configs.load_config(path, options)
    assert cfg.train_dataloader.dataset.pipeline[3].crop_size == (64, 64)
    assert cfg.val_dataloader.dataset.data_root == 'mine'
    with pytest.raises(ValueError, match='there is no model'):
        load_complete_config(path, options)


@pytest.mark.parametrize(
    ('option', 'sentence'),
    [
        (
            'model.auxiliary_head.num_classes',
            'model.auxiliary_head.num_classes names none of model.auxiliary_head, which is a list; '
            'accepted are numbers from 0 to 1, as in model.auxiliary_head.0.num_classes',
        ),
        ('model.auxiliary_head.2.num_classes', 'from 0 to 1, as in model.auxiliary_head.0.num_cl'),
        ('model.auxiliary_head.loss_weight', 'as in model.auxiliary_head.0.loss_weight'),
    ],
)
def test_option_that_names_none_of_a_list(option, sentence, write):
    with pytest.raises(ValueError) as error:
        configs.load_config(write(SHIPPED, f'model = dict({HEADS})'), {option: 3})
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ('heads', 'ending'),
    [
        (HEADS, 'copy it whole, or name one of it by its number in an option'),
        ('auxiliary_head=None', 'to ignore the base config; then give all of it, also its type'),
    ],
)
def test_what_a_config_cannot_add_to(heads, ending, write, tmp_path):
    (tmp_path / 'base.py').write_text(f'model = dict({heads})')
    with pytest.raises(ValueError) as error:
        configs.load_config(write("_base_ = 'base.py'", 'model = dict(auxiliary_head=dict(a=1))'))
    assert str(error.value).endswith(ending)


@pytest.mark.parametrize(
    ('lines', 'options', 'said'),
    [
        ([STOCK], {}, ''),
        (
            [CITIES, "data_root = 'mine'"],
            {},
            "config: data_root = 'mine' at the top does not reach train_dataloader.dataset."
            "data_root, which is 'data/cityscapes/'; set that, and val_dataloader.dataset.data_root"
            ', ...\n',
        ),
        (
            [STOCK, 'num_classes = 3'],
            {},
            'reach model.decode_head.num_classes, which is 21; set that, a',
        ),
        ([STOCK], {'num_classes': 3}, 'num_classes = 3 at the top does not reach'),
        ([STOCK, 'crop_size = (64, 64)'], {}, 'crop_size = (64, 64) at the top does not reach'),
        ([STOCK, 'max_iters = 5'], {}, 'reach train_cfg.max_iters, which is 20000; set that\n'),
        ([STOCK, 'train_pipeline = []'], {}, 'train_pipeline = [] at the top does not reach'),
        ([SHIPPED, 'max_iters = 5'], {}, 'reach train_cfg.max_iters, which is 600; set that\n'),
        ([SHIPPED], {'max_iters': 5}, ''),
        ([SHIPPED, "data_root = 'mine'"], {}, ''),  # which is copied to the data sets
        # A base's own, where all that had it is set instead.
        (
            [
                CITIES,
                'train_dataloader = dict(dataset=dict(data_root="x"))',
                'val_dataloader = dict(dataset=dict(data_root="x"))',
                'test_dataloader = val_dataloader',
            ],
            {},
            '',
        ),
    ],
    ids=str,
)
def test_variable_that_is_set_in_vain(lines, options, said, write, capsys):
    path = write(*lines)
    for _ in range(2):  # the runner completes the config again
        load_complete_config(path, options)
    out = capsys.readouterr().out
    assert out.count('at the top does not reach') == bool(said)
    assert said in out


@pytest.mark.parametrize(
    ('lines', 'options', 'names'),
    [
        ([STOCK], {}, []),
        ([STOCK], {'train_cfg.max_iters': 5}, []),
        ([STOCK], {'max_iters': 5}, ['param_scheduler.0.end', 'train_cfg.max_iters']),
        ([SHIPPED], {}, ['the base mmseg_pacbal::...']),
        (["_base_ = __import__('mmseg_pacbal').config('pac_bal_demo.py')"], {}, []),
        ([f'_base_ = {str(DEMO)!r}', "data_root = 'mine'"], {}, []),  # our runner copies it, too
        (
            [f'_base_ = {str(DEMO)!r}', "data_root = 'mine'", "runner_type = 'Runner'"],
            {},
            [
                'test_dataloader.dataset.data_root',
                'train_dataloader.dataset.datasets.0.data_root',
                'train_dataloader.dataset.datasets.1.data_root',
                'val_dataloader.dataset.data_root',
            ],
        ),
    ],
    ids=str,
)
def test_what_holds_under_our_tools_alone(lines, options, names, write, monkeypatch, capsys):
    monkeypatch.setattr(completion, 'find_spec', lambda name: name)
    path = write(*lines)
    cfg = load_complete_config(path, options)
    capsys.readouterr()
    assert sorted(only_here(cfg, path, options)) == sorted(names)
    assert capsys.readouterr().out == ''  # nothing is said twice


def test_bases_of_mmsegmentation_without_pkg_resources(write, monkeypatch):
    monkeypatch.setattr(completion, 'find_spec', lambda name: None)
    path = write(STOCK)
    assert only_here(load_complete_config(path), path, None) == ['the base mmseg::...']


def test_shipped_configs_set_nothing_in_vain(capsys):
    completion.say_once.cache_clear()
    for path in sorted(Path(configs.config_path('pac_bal_voc.py')).parent.glob('*.py')):
        completion.tell_of_idle_variables(Config.fromfile(path))
    assert capsys.readouterr().out == ''
