"""Which installed versions are accepted, and what is said of the others."""

import importlib.metadata

import numpy as np
import pytest

from mmseg_pacbal import stack

STOCK = {
    'torch': '2.13.0+cpu',
    'numpy': '2.4.6',
    'mmengine': '0.10.7',
    'mmengine-lite': None,
    'onedl-mmengine': None,
    'mmcv': None,
    'mmcv-lite': '2.1.0',
    'mmcv-full': None,
    'onedl-mmcv': None,
    'mmsegmentation': '1.2.2',
    'onedl-mmsegmentation': None,
    'ftfy': '6.3.1',
    'regex': '2024.1.1',
}
FORK = {
    'mmengine': None,
    'onedl-mmengine': '0.10.12',
    'mmcv-lite': None,
    'onedl-mmcv': '2.3.6',
    'mmsegmentation': None,
    'onedl-mmsegmentation': '1.4.2',
}

DECLARED = {
    'torch': '>=2.4',
    'mmengine': '>=0.10.7,<0.11',
    'mmcv': '>=2.0.0rc4,<2.2',
    'mmcv-lite': '>=2.1,<2.2',
    'mmsegmentation': '>=1.2.2,<1.3',
}


def test_accepted_versions_are_those_of_the_metadata():
    declared = stack.declared_versions()
    assert DECLARED.items() <= declared.items()


def test_source_tree_that_was_never_installed_declares_nothing(monkeypatch):
    def requires(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(stack.metadata, 'requires', requires)
    assert stack.declared_versions() == {}


@pytest.mark.parametrize(
    'change',
    [
        {},
        FORK,
        {'mmcv': '2.1.0', 'mmcv-lite': None},
        {'mmcv': '2.0.0rc4+cu118', 'mmcv-lite': None},
        {'mmengine-lite': '0.10.7'},
        {'onedl-mmengine': '0.10.12', 'mmengine': None},
        {'torch': '2.4.0', 'numpy': '1.26.4'},
        {'torch': '2.6.0a0+ecf3bae40a.nv25.1'},
    ],
)
def test_supported_stack_is_accepted(change):
    stack.check_versions({**STOCK, **change}, DECLARED)


def test_unknown_versions_are_not_judged():
    stack.check_versions({}, DECLARED)


@pytest.mark.parametrize(
    ('change', 'found', 'accepted', 'command'),
    [
        (
            {'mmcv-lite': None},
            'mmcv is not installed',
            'mmcv>=2.0.0rc4,<2.2',
            stack.LITE_MMCV,
        ),
        (
            {'mmcv-lite': None, 'mmcv': '2.2.0'},
            'mmcv 2.2.0 is installed with mmsegmentation 1.2.2',
            'mmcv>=2.0.0rc4,<2.2',
            'pip uninstall -y mmcv && pip install "mmcv-lite==2.1.0"',
        ),
        (
            {'mmcv-lite': '2.2.0'},
            'mmcv-lite 2.2.0 is installed with mmsegmentation 1.2.2',
            'mmcv-lite>=2.1,<2.2',
            'pip uninstall -y mmcv-lite && pip install "mmcv-lite==2.1.0"',
        ),
        (
            {'mmcv-lite': '2.0.1'},  # which pip refuses as well
            'mmcv-lite 2.0.1 is installed with mmsegmentation 1.2.2',
            'mmcv-lite>=2.1,<2.2',
            'pip uninstall -y mmcv-lite && ',
        ),
        (
            {'mmcv-lite': None, 'mmcv': '2.0.0rc3'},
            'mmcv 2.0.0rc3 is installed',
            'mmcv>=2.0.0rc4,<2.2',
            'pip uninstall -y mmcv && ',
        ),
        (
            {'mmcv-lite': None, 'mmcv-full': '1.7.2'},
            'mmcv-full 1.7.2 is installed',
            'mmcv>=2.0.0rc4,<2.2',
            'pip uninstall -y mmcv-full && ',
        ),
        (
            {'mmcv-lite': None, 'onedl-mmcv': '2.3.6'},
            'onedl-mmcv 2.3.6 is installed with mmsegmentation 1.2.2',
            'mmcv>=2.0.0rc4,<2.2',
            'pip uninstall -y onedl-mmcv && ',
        ),
        (
            {'mmcv': '2.1.0'},
            'mmcv 2.1.0 and mmcv-lite 2.1.0 overwrite each other',
            'one of them as mmcv',
            'pip uninstall -y mmcv mmcv-lite && pip install "mmcv-lite==2.1.0"',
        ),
        (
            {'onedl-mmsegmentation': '1.4.2'},
            'mmsegmentation 1.2.2 and onedl-mmsegmentation 1.4.2 overwrite each other',
            'one of them as mmseg',
            'pip uninstall -y mmsegmentation onedl-mmsegmentation && ',
        ),
        (
            {'mmsegmentation': None},
            'mmsegmentation is not installed',
            'mmsegmentation>=1.2.2,<1.3',
            'pip install "mmsegmentation==1.2.2"',
        ),
        (
            {'mmsegmentation': '0.30.0', 'mmcv-lite': None, 'mmcv': '2.1.0'},
            'mmsegmentation 0.30.0 is installed',
            'mmsegmentation>=1.2.2,<1.3',
            'pip install "mmsegmentation==1.2.2"',
        ),
        (
            {'mmengine': None},
            'mmengine is not installed',
            'mmengine>=0.10.7,<0.11',
            'pip install "mmengine==0.10.7"',
        ),
        ({'ftfy': None}, 'ftfy is not installed', 'ftfy', 'pip install ftfy regex'),
        ({'regex': None}, 'regex is not installed', 'regex', 'pip install ftfy regex'),
        ({'torch': '2.3.1'}, 'torch 2.3.1', 'torch>=2.4', 'pip install "torch>=2.4"'),
    ],
)
def test_unsupported_stack_is_refused_with_what_to_do(change, found, accepted, command):
    with pytest.raises(ImportError) as error:
        stack.check_versions({**STOCK, **change}, DECLARED)
    assert isinstance(error.value, stack.UnsupportedStackError)
    start, _, end = str(error.value).partition(', but mmseg-pacbal needs ')
    assert start.startswith(found)
    assert end.startswith(accepted)
    assert f'; to fix it: {command}' in end


def test_installed_versions_are_those_of_this_stack():
    versions = stack.installed_versions()
    assert versions['torch'] == importlib.metadata.version('torch')
    assert versions['numpy'] == np.__version__
    assert set(versions) <= set(STOCK)


def test_source_tree_on_the_path_is_not_judged_but_a_leftover_folder_is(monkeypatch, tmp_path):
    (tmp_path / 'mmcv_of_test').mkdir()
    (tmp_path / 'mmcv_of_test' / '__init__.py').touch()
    (tmp_path / 'mmseg_of_test' / 'models').mkdir(parents=True)
    need = (('no-such-distribution',), '')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(stack, 'NEEDS', {'mmcv_of_test': need})
    assert set(stack.installed_versions()) == {'numpy'}
    monkeypatch.setattr(stack, 'NEEDS', {'mmseg_of_test': need})
    assert stack.installed_versions()['no-such-distribution'] is None
    with pytest.raises(stack.UnsupportedStackError, match='no-such-distribution is not installed'):
        stack.check_versions(stack.installed_versions(), {})
