"""Which installed versions are accepted, and what is said of the others."""

import importlib.metadata

import pytest

from mmseg_pacbal import errors, stack

STOCK = dict.fromkeys(name for names, _ in stack.NEEDS.values() for name in names) | {
    'torch': '2.13.0+cpu',
    'mmengine': '0.10.7',
    'mmcv-lite': '2.1.0',
    'mmsegmentation': '1.2.2',
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
MMCV, LITE = (f'{name}{DECLARED[name]}' for name in ('mmcv', 'mmcv-lite'))
MMSEG = 'mmsegmentation>=1.2.2,<1.3', 'pip install "mmsegmentation==1.2.2"'
MMENGINE = 'mmengine>=0.10.7,<0.11', 'pip install "mmengine==0.10.7"'
LITE_COMMAND = 'pip install "mmcv-lite==2.1.0"'
NOT_LITE = {'mmcv-lite': None}
FULL = {'mmcv': '2.1.0', **NOT_LITE}


def test_accepted_versions_are_those_of_the_metadata(monkeypatch):
    assert DECLARED.items() <= stack.declared_versions().items()

    def requires(name):  # of a source tree that was never installed
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(stack.metadata, 'requires', requires)
    assert stack.declared_versions() == {}


@pytest.mark.parametrize(
    'change',
    [
        {},
        FORK,
        FULL,
        {'mmcv': '2.0.0rc4+cu118', **NOT_LITE},
        {'mmengine-lite': '0.10.7'},
        {'onedl-mmengine': '0.10.12', 'mmengine': None},
        {'torch': '2.4.0'},
        {'torch': '2.6.0a0+ecf3bae40a.nv25.1'},
    ],
)
def test_supported_stack_is_accepted(change):
    stack.check_versions({**STOCK, **change}, DECLARED)


def test_unknown_versions_are_not_judged():
    stack.check_versions({}, DECLARED)


WITH_STOCK = ' is installed with mmsegmentation 1.2.2'


def twice(one: str, version: str, other: str, version_of_other: str, module: str) -> tuple:
    """Of two packages of one module: what was found, what is accepted, what to do."""
    found = f'{one} {version} and {other} {version_of_other} overwrite each other'
    return found, f'one of them as {module}', f'pip uninstall -y {one} {other} && '


@pytest.mark.parametrize(
    ('change', 'found', 'accepted', 'command'),
    [
        (NOT_LITE, 'mmcv is not installed', MMCV, stack.LITE_MMCV),
        *(
            (
                {**NOT_LITE, name: version},
                f'{name} {version}{WITH_STOCK}',
                LITE if name == 'mmcv-lite' else MMCV,
                f'pip uninstall -y {name} && {LITE_COMMAND}',
            )
            for name, version in [
                ('mmcv', '2.2.0'),
                ('mmcv', '2.0.0rc3'),
                ('mmcv-lite', '2.2.0'),
                ('mmcv-lite', '2.0.1'),  # which pip refuses as well
                ('mmcv-full', '1.7.2'),
                ('onedl-mmcv', '2.3.6'),
            ]
        ),
        ({'mmcv': '2.1.0'}, *twice('mmcv', '2.1.0', 'mmcv-lite', '2.1.0', 'mmcv')),
        (
            {'onedl-mmsegmentation': '1.4.2'},
            *twice('mmsegmentation', '1.2.2', 'onedl-mmsegmentation', '1.4.2', 'mmseg'),
        ),
        ({'mmsegmentation': None}, 'mmsegmentation is not installed', *MMSEG),
        ({'mmsegmentation': '0.30.0', **FULL}, 'mmsegmentation 0.30.0 is installed', *MMSEG),
        ({'mmengine': None}, 'mmengine is not installed', *MMENGINE),
        ({'ftfy': None}, 'ftfy is not installed', 'ftfy', 'pip install ftfy regex'),
        ({'torch': '2.3.1'}, 'torch 2.3.1', 'torch>=2.4', 'pip install "torch>=2.4"'),
    ],
)
def test_unsupported_stack_is_refused_with_what_to_do(change, found, accepted, command):
    with pytest.raises(stack.UnsupportedStackError) as error:
        stack.check_versions({**STOCK, **change}, DECLARED)
    start, _, end = str(error.value).partition(', but mmseg-pacbal needs ')
    assert start.startswith(found)
    assert end.startswith(accepted)
    assert f'; to fix it: {command}' in end


def test_installed_versions_are_those_of_this_stack():
    versions = stack.installed_versions()
    assert versions['torch'] == importlib.metadata.version('torch')
    assert set(versions) <= set(STOCK)


def test_source_tree_on_the_path_is_not_judged_but_a_leftover_folder_is(monkeypatch, tmp_path):
    (tmp_path / 'mmcv_of_test').mkdir()
    (tmp_path / 'mmcv_of_test' / '__init__.py').touch()
    (tmp_path / 'mmseg_of_test' / 'models').mkdir(parents=True)
    need = (('no-such-distribution',), '')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(stack, 'NEEDS', {'mmcv_of_test': need})
    assert stack.installed_versions() == {}
    monkeypatch.setattr(stack, 'NEEDS', {'mmseg_of_test': need})
    with pytest.raises(stack.UnsupportedStackError, match='no-such-distribution is not installed'):
        stack.check_versions(stack.installed_versions(), {})


@pytest.mark.parametrize(
    ('torch', 'index'),
    [
        ('2.13.0+cpu', ' --index-url https://download.pytorch.org/whl/cpu'),
        ('2.12.1+cu130', ' --index-url https://download.pytorch.org/whl/cu130'),
        ('2.13.0', ''),  # from PyPI
    ],
)
def test_torchvision_of_another_build_than_torch(torch, index, monkeypatch):
    monkeypatch.setattr(errors, 'version', lambda name: torch)
    sentence = errors.one_sentence(RuntimeError('operator torchvision::nms does not exist'))
    assert sentence == (
        'RuntimeError: operator torchvision::nms does not exist; torchvision is of another build '
        'than torch: pip uninstall -y torchvision && '
        f'pip install "torch=={torch.partition("+")[0]}" torchvision{index}'
    )
