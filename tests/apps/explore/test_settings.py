"""Presets are the configs' arguments, and the text to copy builds the same loss."""

import pytest
from mmengine.config import Config
from mmseg.registry import MODELS

from mmseg_pacbal import BoundaryAwareLoss, configs
from mmseg_pacbal.apps.explore.settings import (
    DEFAULTS,
    NAMES,
    Settings,
    loss_of_config,
    paper_rows,
    paper_settings,
    settings_from,
    settings_of,
    texts,
    values_of,
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
OTHERS = dict(  # arguments without a control
    use_sigmoid=True,
    loss_weight=0.5,
    class_weight=[1.0, 2.0],
    pixel_loss=dict(type='SoftmaxFocalLoss', gamma=2.0),
)


def map_of(loss: BoundaryAwareLoss) -> Settings:
    void = loss.resolve_ignore_index(None)
    return Settings(**loss.map_args, normalize=loss.normalize, ignore_index=void)


def test_defaults_are_those_of_the_loss():
    assert settings_of({}) == DEFAULTS == map_of(BoundaryAwareLoss())
    assert settings_of(dict(OTHER, loss_weight=3.0))._asdict() == OTHER
    assert settings_of(dict(beta=None)) == DEFAULTS


def test_controls_show_the_settings():
    settings = settings_of(OTHER)
    assert settings_from(values_of(settings)) == settings
    assert settings_from(values_of(DEFAULTS)) == DEFAULTS
    moved = settings_from(values_of(DEFAULTS._replace(sigma=1, beta=0.1 + 0.2)))
    assert (repr(moved.sigma), repr(moved.beta)) == ('1.0', '0.3')


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('kernel_size', 34),
        ('kernel_size', None),
        ('sigma', 0),
        ('sigma', None),
        ('beta', -1),
        ('ignore_index', None),
    ],
)
def test_a_wrong_argument_is_named(name, value):
    with pytest.raises(ValueError, match=f'{name} must be .*, but got {value!r}'):
        settings_from(values_of(DEFAULTS._replace(**{name: value})))


def test_settings_of_a_config_are_those_of_its_loss():
    def of(loss: object, **head: object) -> Settings | None:
        found = loss_of_config(Config(dict(model=dict(decode_head=dict(loss_decode=loss, **head)))))
        return None if found is None else settings_of(found)

    plain, ours = dict(type='CrossEntropyLoss'), dict(type='BoundaryAwareLoss', beta=1.0)
    assert of(plain) is of(None) is None
    assert of([plain, ours]) == DEFAULTS._replace(beta=1.0)
    assert of(ours, ignore_index=7) == DEFAULTS._replace(beta=1.0, ignore_index=7)
    assert of(dict(ours, ignore_index=0)) == DEFAULTS._replace(beta=1.0, ignore_index=0)
    demo = settings_of(loss_of_config(configs.load_config(str(DEMO))))
    assert demo == DEFAULTS._replace(kernel_size=15, downsample=2, normalize='mean')


def test_presets_are_the_rows_of_table_1():
    rows = paper_rows()
    assert len(rows) == 14
    last = list(rows)[-1]
    assert last == 'Table 1: gaussian d4 k35 s3 b05 (reported: +0.96 mIoU)'
    assert paper_settings(rows[last]) == DEFAULTS  # the defaults of the loss are this row
    first = paper_settings('bal_linear_d1_k15_b03')
    changed = dict(kernel='linear', kernel_size=15, beta=0.3, downsample=1)
    assert first == DEFAULTS._replace(**changed)


@pytest.mark.parametrize('arguments', [{}, *({name: OTHER[name]} for name in NAMES), OTHER])
def test_texts_build_the_loss(arguments):
    settings = settings_of(arguments)
    config, python = texts(settings, {})
    names: dict = {}
    exec(config, names)
    assert names['custom_imports'] == dict(imports=['mmseg_pacbal'])
    head = names['model']['decode_head']
    loss = head['loss_decode']
    assert loss.pop('_delete_') is True
    assert loss.keys() == {'type', *arguments} - {'ignore_index'}
    void = head.get('ignore_index', 255)
    assert map_of(MODELS.build(loss))._replace(ignore_index=void) == settings
    code, _, call = python.rpartition('\n')
    exec(code, names)
    assert map_of(names['loss']) == settings
    assert call.startswith('value = loss(logits, label)')


def test_texts_keep_arguments_without_a_control():
    """Of a head with one output channel, classes that weigh differently, and another loss."""
    loss = dict(type='BoundaryAwareLoss', beta=1.0, **OTHERS)
    own = loss_of_config(
        Config(dict(model=dict(decode_head=dict(loss_decode=[loss], ignore_index=7))))
    )
    config, python = texts(settings_of(own), own)
    names: dict = {}
    exec(config, names)
    head = names['model']['decode_head']
    assert head == dict(ignore_index=7, loss_decode=dict(loss, _delete_=True))
    for name, value in OTHERS.items():
        assert f'    {name}={value!r},\n' in python
