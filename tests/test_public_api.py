"""docs/public_api.md lists what is public: no more, and no less."""

import re
import runpy

import pytest

from tests.environments import ROOT

pytest.importorskip('torchmetrics')  # for BoundaryQuality
API = runpy.run_path(str(ROOT / 'docs' / 'public_api.py'))
PAGE = API['PAGE'].read_text()
TOOLS = sorted((ROOT / 'tools').glob('*.*'))


def recorded(block: str) -> str:
    return re.search(rf'<!-- {block} -->\n(.*?)\n<!-- end -->', PAGE, re.DOTALL)[1]


def recorded_tools() -> dict[str, str]:
    """Command -> its line."""
    lines = recorded('tools').splitlines()
    return {re.match(r'- `(python -m [\w.]+|\S+?)[` ]', line)[1]: line for line in lines}


def entries(block: str) -> set[str]:
    """Everything that a list names: modules before their names, classes before their methods."""
    found, module, owner = set(), '', ''
    for line in block.splitlines():
        name, *members = re.findall(r'`([^`]+)`', line) or ['']
        if line.startswith('**'):
            module = f'{name}: '
        elif line.startswith('    - '):
            found.add(owner + name)
        else:
            owner = re.split(r'[( ]', name)[0]
            found |= {module + name, *(f'{owner}: {member}' for member in members)}
    return found - {''}


def difference(listed: str, actual: str) -> str:
    """A sentence that says what only one of two lists has; empty if they are equal."""
    if listed == actual:
        return ''
    gone, new = entries(listed) - entries(actual), entries(actual) - entries(listed)
    found = f'listed, but not public: {sorted(gone)}; public, but not listed: {sorted(new)}'
    return (
        f'{found if gone or new else "the order differs"}. If the change is meant, run '
        'python docs/public_api.py and add a line to CHANGELOG.md'
    )


@pytest.mark.parametrize('block', sorted(API['BLOCKS'].keys() - {'tools'}))
def test_list_is_what_is_public(block):
    assert difference(recorded(block), API['BLOCKS'][block]()) == ''


@pytest.mark.parametrize('path', TOOLS, ids=lambda path: path.name)
def test_options_of_a_tool_are_listed(path):
    try:
        actual = API['tool'](path)
    except ModuleNotFoundError as error:  # an extra
        pytest.skip(f'{error.name} is not installed')
    assert difference(recorded_tools().get(f'tools/{path.name}', ''), actual) == ''


def test_no_tool_is_listed_that_does_not_exist():
    doctor = 'python -m mmseg_pacbal.doctor'
    assert recorded_tools().keys() == {f'tools/{path.name}' for path in TOOLS} | {doctor}
    assert difference(recorded_tools()[doctor], API['the_doctor']()) == ''


def test_every_registration_is_listed():
    """Those that the source names; a registry that is not looked at would hide its names."""
    texts = [path.read_text() for path in (ROOT / 'mmseg_pacbal').rglob('*.py')]
    pattern = r'^@([A-Z_]+)\.register_module\((?:name=\'(\w+)\')?\)\n(?:class|def) (\w+)'
    found = {(r, given or name) for t in texts for r, given, name in re.findall(pattern, t, re.M)}
    assert len(found) >= 17
    listed = API['registered']()
    assert {(r, name) for r, name in found if name not in listed.get(r, {})} == set()


@pytest.mark.parametrize(
    'entry',
    [
        'mmseg_pacbal.ops: boundary_edges(label, *, void_edges=True, ignore_padding=True, '
        'ignore_index=255)',
        'mmseg_pacbal: PyramidAtrousConv(in_channels, out_channels, rates=(1, 3, 5, 7, 9), *, '
        "merge='sum', norm=None, activation=ReLU, backend='auto', **unknown)",
        'BoundaryAwareLoss.weight_map(label, ignore_index=None)',
        'PixelLoss.loss_name',
        'mmseg_pacbal.openmmlab.engine: CheckedRunner(...)',
    ],
)
def test_names_are_listed_with_their_arguments(entry):
    assert entry in entries(recorded('python'))


def test_arguments_show_a_changed_default():
    def before(a, *, b: int = 1) -> None: ...

    def after(a, *, b: int = 2) -> None: ...

    arguments = API['arguments']
    old, new = (f'**`m`**\n\n- `f{arguments(f)}`' for f in (before, after))
    assert difference(old, old) == ''
    assert "not public: ['m: f(a, *, b=1)']" in difference(old, new)
    assert "not listed: ['m: f(a, *, b=2)']" in difference(old, new)


def test_difference_names_options_methods_and_order():
    tool = '- `tools/a.py CONFIG`: `--amp`, `--out DIR`'
    assert "not public: ['tools/a.py: --amp']" in difference(tool, tool.replace('`--amp`, ', ''))
    loss = '- `Loss(a)`\n    - `.void(b)`'
    assert "not listed: ['Loss.void(c)']" in difference(loss, loss.replace('b', 'c'))
    table = '- `table.csv`: `row`, `mean`', '- `table.csv`: `mean`, `row`'
    assert difference(*table).startswith('the order differs')
