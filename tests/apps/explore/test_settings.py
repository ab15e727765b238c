"""Presets are the configs' arguments, and the text to copy builds the same loss."""

from dataclasses import asdict

import pytest
from mmengine.config import Config
from mmseg.registry import MODELS

from mmseg_pacbal import BoundaryAwareLoss, configs
from mmseg_pacbal.apps.explore.settings import (
    DEFAULTS,
    NAMES,
    Settings,
    config_text,
    loss_of_config,
    others_of,
    paper_rows,
    paper_settings,
    python_text,
    settings_of,
    settings_of_config,
)
from tests.running import DEMO

OTHER = dict(
    kernel='linear',
    kernel_size=9,
    sigma=1.5,
    beta=0.25,
    downsample=3,
    antialias=False,
    void_edges=False,
    ignore_padding=False,
    normalize='mean',
    ignore_index=0,
)


def arguments_of(loss: BoundaryAwareLoss) -> dict:
    return dict(loss.map_args, normalize=loss.normalize)


def without_void(settings: Settings) -> dict:
    return {name: value for name, value in asdict(settings).items() if name != 'ignore_index'}


def test_defaults_are_those_of_the_loss():
    settings = settings_of({})
    assert asdict(settings) == DEFAULTS
    assert without_void(settings) == arguments_of(BoundaryAwareLoss())
    assert settings.ignore_index == 255
    assert settings.changed() == {}
    assert set(OTHER) == set(NAMES)


@pytest.mark.parametrize('name', NAMES)
def test_an_argument_alone_is_kept(name):
    settings = settings_of({name: OTHER[name]})
    assert settings.changed() == {name: OTHER[name]}
    assert settings_of(dict(settings.changed(), loss_weight=3.0)) == settings


@pytest.mark.parametrize(
    ('name', 'value'),
    [('kernel_size', 34), ('kernel_size', None), ('sigma', 0), ('beta', -1), ('ignore_index', 0.5)],
)
def test_a_wrong_argument_is_named(name, value):
    with pytest.raises(ValueError, match=f'{name} must be .*, but got {value!r}'):
        Settings(**{**DEFAULTS, name: value})


def test_settings_of_a_config_are_those_of_its_loss():
    settings = settings_of_config(configs.load_config(str(DEMO)))
    assert settings.changed() == dict(kernel_size=15, downsample=2, normalize='mean')


def test_settings_of_a_config_with_other_losses():
    def of(loss: object, **head: object) -> Settings | None:
        model = dict(decode_head=dict(loss_decode=loss, **head))
        return settings_of_config(Config(dict(model=model)))

    plain, ours = dict(type='CrossEntropyLoss'), dict(type='BoundaryAwareLoss', beta=1.0)
    assert of(plain) is None
    assert of([plain, ours]).changed() == dict(beta=1.0)
    assert of(ours, ignore_index=7).changed() == dict(beta=1.0, ignore_index=7)
    assert of(dict(ours, ignore_index=0)).changed() == dict(beta=1.0, ignore_index=0)


def test_text_keeps_arguments_without_a_control():
    """Of a head with one output channel, classes that weigh differently, and another loss."""
    others = dict(
        use_sigmoid=True,
        loss_weight=0.5,
        class_weight=[1.0, 2.0],
        pixel_loss=dict(type='SoftmaxFocalLoss', gamma=2.0),
    )
    loss = dict(type='BoundaryAwareLoss', beta=1.0, **others)
    cfg = Config(dict(model=dict(decode_head=dict(loss_decode=[loss], ignore_index=7))))
    found = loss_of_config(cfg)
    assert others_of(found) == others
    names: dict = {}
    exec(config_text(settings_of(found), others_of(found)), names)
    head = names['model']['decode_head']
    assert head == dict(ignore_index=7, loss_decode=dict(loss, _delete_=True))
    assert 'class_weight=[1.0, 2.0],\n' in python_text(settings_of(found), others_of(found))
    assert loss_of_config(Config(dict(model=dict(decode_head=dict())))) is None
    assert others_of(None) == {}


def test_presets_are_the_rows_of_table_1():
    rows = paper_rows()
    assert len(rows) == 14
    last = list(rows)[-1]
    assert last == 'Table 1: gaussian d4 k35 s3 b05 (reported: +0.96 mIoU)'
    assert paper_settings(rows[last]) == settings_of({})  # the defaults of the loss are this row
    first = paper_settings('bal_linear_d1_k15_b03')
    assert first.changed() == dict(kernel='linear', kernel_size=15, beta=0.3, downsample=1)


@pytest.mark.parametrize('arguments', [{}, dict(beta=0.25), OTHER], ids=['none', 'one', 'all'])
def test_config_text_builds_the_loss(arguments):
    settings = settings_of(arguments)
    names: dict = {}
    exec(config_text(settings), names)
    assert names['custom_imports'] == dict(imports=['mmseg_pacbal'])
    head = names['model']['decode_head']
    loss = head['loss_decode']
    assert loss.pop('_delete_') is True
    assert loss.keys() == {'type', *arguments} - {'ignore_index'}
    assert arguments_of(MODELS.build(loss)) == without_void(settings)
    assert head.get('ignore_index', 255) == settings.ignore_index


@pytest.mark.parametrize('arguments', [{}, OTHER], ids=['none', 'all'])
def test_python_text_builds_the_loss(arguments):
    settings = settings_of(arguments)
    code, _, call = python_text(settings).rpartition('\n')
    names: dict = {}
    exec(code, names)
    assert arguments_of(names['loss']) == without_void(settings)
    assert names['loss'].resolve_ignore_index(None) == settings.ignore_index
    assert call.startswith('value = loss(logits, label)')
