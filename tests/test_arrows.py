"""Imports run one way: tools -> apps -> openmmlab -> visualization, losses, ... -> ops."""

import ast

import pytest

from tests.environments import ROOT

PACKAGE = ROOT / 'mmseg_pacbal'
OPENMMLAB = {'mmengine', 'mmcv', 'mmseg'}
# Room: rooms and modules of this package that it may import, itself left out.
ARROWS = {
    'ops': set(),
    'losses': {'ops'},
    'layers': {'ops'},
    'metrics': {'ops', 'markdown'},
    'datasets': {'ops'},
    'visualization': {'ops', 'metrics'},
    'openmmlab': {
        'ops',
        'losses',
        'layers',
        'metrics',
        'datasets',
        'visualization',
        'configs',
        'errors',
        'files',
    },
}


def imports(path) -> tuple[set[str], set[str]]:
    """Rooms of this package and packages of others that a file imports."""
    own, others = set(), set()
    parents = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            others |= {alias.name.partition('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            others.add(node.module.partition('.')[0])
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1]
            if base or node.module:
                own.add((*base, *(node.module or '').split('.'))[0])
            else:
                own |= {alias.name for alias in node.names}
    return own, others


@pytest.mark.parametrize('room', ARROWS)
def test_rooms_import_what_lies_below(room):
    files = sorted((PACKAGE / room).rglob('*.py'))
    assert files
    for path in files:
        own, _ = imports(path)
        assert own - ARROWS[room] - {room} == set(), path


@pytest.mark.parametrize(
    'room', ['ops', 'losses', 'layers', 'metrics', 'datasets', 'visualization']
)
def test_nothing_below_openmmlab_imports_it(room):
    for path in sorted((PACKAGE / room).rglob('*.py')):
        assert imports(path)[1] & OPENMMLAB == set(), path
