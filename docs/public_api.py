"""Write what is public into docs/public_api.md: python docs/public_api.py

Each block is read from the code: exported names with their arguments, names in registries, tools
with their options, and so on. The prose between the blocks is written by hand.
"""

import argparse
import contextlib
import importlib
import inspect
import re
import runpy
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import NoReturn
from unittest import mock

import mmseg_pacbal  # before OpenMMLab, whose imports it mends

# isort: split
import mmengine.registry
import mmseg.registry

from mmseg_pacbal.apps import doctor
from mmseg_pacbal.apps.study.report import Summary, to_csv
from mmseg_pacbal.apps.study.verdict import Comparison
from mmseg_pacbal.configs import SPREAD
from mmseg_pacbal.markdown import fill
from mmseg_pacbal.metrics.calibration_report import calibration_csv
from mmseg_pacbal.metrics.region_report import region_csv

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / 'docs' / 'public_api.md'
DEVELOPERS = {'test', 'docs', 'examples', 'notebook', 'dev'}  # extras that promise nothing


def ours(thing: object) -> bool:
    return str(getattr(thing, '__module__', '')).startswith('mmseg_pacbal')


class Named:
    """Stands in a signature for a function or class, whose repr names an address or a module."""

    def __init__(self, thing: Callable) -> None:
        self.name = thing.__name__

    def __repr__(self) -> str:
        return self.name


def arguments(thing: Callable, bound: bool = True) -> str:
    """Names and defaults of the arguments; annotations are printed differently by each Python.

    Args:
        thing: A function or a class.
        bound: Whether the first argument is to be shown; False for the function of a method.
    """
    # A named tuple has neither, but has arguments of its own.
    own = ours(thing.__init__) or ours(thing.__new__) or hasattr(thing, '_fields')
    if inspect.isclass(thing) and not own:
        return '(...)'
    signature = inspect.signature(thing)
    shown = []
    for parameter in [*signature.parameters.values()][0 if bound else 1 :]:
        default = parameter.default
        if default is not inspect.Parameter.empty and (
            inspect.isclass(default) or inspect.isroutine(default)
        ):
            default = Named(default)
        shown.append(parameter.replace(annotation=inspect.Parameter.empty, default=default))
    return str(signature.replace(parameters=shown, return_annotation=inspect.Signature.empty))


def methods(cls: type, public: Container[type]) -> Iterator[str]:
    """Methods and properties of a class that neither a class of another library prescribes nor
    another public class already shows.
    """
    own = [b for b in cls.__mro__ if ours(b) and (b is cls or b not in public)]
    others = {name for base in cls.__mro__ if not ours(base) for name in vars(base)} - {'forward'}
    members = {name: member for base in reversed(own) for name, member in vars(base).items()}
    for name, member in sorted(members.items()):
        if name.startswith('_') or name in others or name in getattr(cls, '_fields', ()):
            continue
        if isinstance(member, property):
            yield f'.{name}'
        elif inspect.isfunction(member):
            yield f'.{name}{arguments(member, bound=False)}'
        elif isinstance(member, (classmethod, staticmethod)):
            yield f'.{name}{arguments(getattr(cls, name))}'


def described(name: str, thing: object, public: Container[type]) -> Iterator[str]:
    """The lines of a list: a name with its arguments, and below it the methods of a class."""
    yield f'- `{name}{arguments(thing) if callable(thing) else ""}`'
    if inspect.isclass(thing):
        yield from (f'    - `{method}`' for method in methods(thing, public))


def public_modules() -> list[str]:
    """Modules that say what they export; those of the tools export to each other only."""
    paths = sorted((ROOT / 'mmseg_pacbal').rglob('*.py'))
    found = [p for p in paths if '\n__all__ = [' in p.read_text() and 'apps' not in p.parts]
    parts = [path.relative_to(ROOT).with_suffix('').parts for path in found]
    return sorted('.'.join(part for part in p if part != '__init__') for p in parts)


def exported(module: str) -> dict[str, object]:
    """Name -> what a module exports, submodules left out."""
    found = importlib.import_module(module)
    # The metric is imported late, and `import *` must not need torchmetrics.
    names = {*found.__all__, *(['BoundaryQuality'] if module == 'mmseg_pacbal' else [])}
    things = {name: getattr(found, name) for name in sorted(names, key=str.lower)}
    return {name: thing for name, thing in things.items() if not inspect.ismodule(thing)}


def python() -> str:
    modules = {module: exported(module) for module in public_modules()}
    classes = {t for things in modules.values() for t in things.values() if inspect.isclass(t)}
    lines: list[str] = []
    seen: set[int] = set()
    for module, things in modules.items():
        again = [name for name, thing in things.items() if id(thing) in seen]
        lines += [f'\n**`{module}`**\n'] if things else []
        for name in (name for name in things if name not in again):
            lines += described(name, things[name], classes)
        lines += [f'- `{name}`, as above' for name in again]
        seen |= set(map(id, things.values()))
    return '\n'.join(lines).strip()


def registered() -> dict[str, dict[str, object]]:
    """Registry -> name -> what this package registers there."""
    found: dict[str, dict[str, object]] = {}
    for module in (mmengine.registry, mmseg.registry):
        for variable, registry in vars(module).items():
            if isinstance(registry, mmengine.registry.Registry):
                entries = registry.module_dict.items()
                own = {name: thing for name, thing in entries if ours(thing)}
                found.setdefault(variable, {}).update(own)
    return {variable: dict(sorted(own.items())) for variable, own in sorted(found.items()) if own}


def registries() -> str:
    known = {id(thing) for module in public_modules() for thing in exported(module).values()}
    rows = []
    for variable, own in registered().items():
        names = (n + ('' if id(thing) in known else arguments(thing)) for n, thing in own.items())
        rows.append(f'- `{variable}`: {listed(names)}')
    return '\n'.join(rows)


def listed(names: Iterable[str]) -> str:
    return ', '.join(f'`{name}`' for name in names)


def bullets(names: Iterable[str]) -> str:
    return '\n'.join(f'- `{name}`' for name in names)


def configs() -> str:
    patterns = 'configs/*.py', 'configs/ablation/*', 'configs/studies/*'
    found = {pattern: sorted(path.name for path in ROOT.glob(pattern)) for pattern in patterns}
    return '\n'.join(f'- `{Path(p).parent}`: {listed(names)}' for p, names in found.items())


def parser_of(parse: Callable[[], object]) -> argparse.ArgumentParser:
    """The parser that a function makes to parse the command line."""
    made: list[argparse.ArgumentParser] = []

    def stop(parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        made.append(parser)
        raise SystemExit

    with (
        mock.patch.object(argparse.ArgumentParser, 'parse_args', stop),
        contextlib.suppress(SystemExit),
    ):
        parse()
    return made[0]


def option(action: argparse.Action) -> str:
    """An argument with its choices or placeholder, and with a default that is a number."""
    names = '/'.join(action.option_strings)
    if action.nargs == 0:
        return names
    words = action.metavar or action.dest.upper()
    if action.choices:
        words = f'{{{",".join(map(str, action.choices))}}}'
    value = ' '.join(words) if isinstance(words, tuple) else words
    value += ' ...' if action.nargs == '+' else ''
    value = f'[{value}]' if action.nargs == '?' else value
    default = f' = {action.default}' if isinstance(action.default, (int, float)) else ''
    required = ', required' if names and action.required else ''
    return f'{names} {value}{default}{required}'.lstrip()


def usage(name: str, parser: argparse.ArgumentParser) -> str:
    """A command with its arguments and options."""
    actions = [a for a in parser._actions if a.dest != 'help' and a.help != argparse.SUPPRESS]
    actions.sort(key=lambda action: bool(action.option_strings))
    return f'- `{name}`: {listed(map(option, actions))}'


def tools() -> str:
    lines = [tool(path) for path in sorted((ROOT / 'tools').glob('*.*'))]
    return '\n'.join([*lines, the_doctor()])


def the_doctor() -> str:
    return usage('python -m mmseg_pacbal.doctor', parser_of(doctor.main))


def tool(path: Path) -> str:
    name = path.relative_to(ROOT).as_posix()
    if path.suffix == '.sh':
        return f'- `{name}`, which reads the variables {listed(shell_variables(path))}'
    return usage(name, parser_of(runpy.run_path(str(path))['parse_args']))


def shell_variables(path: Path) -> list[str]:
    """Variables of the environment that a script reads: those it has a default for."""
    return sorted(set(re.findall(r'\$\{([A-Z_]+):-', path.read_text())))


def variables() -> str:
    paths = [p for f in ('mmseg_pacbal', 'tools') for p in (ROOT / f).rglob('*') if p.is_file()]
    texts = (p.read_text() for p in paths if p.suffix in ('.py', '.sh'))
    return bullets(sorted({name for t in texts for name in re.findall(r'MMSEG_PACBAL_[A-Z_]+', t)}))


def extras() -> str:
    project = (ROOT / 'pyproject.toml').read_text()
    table = re.search(r'^\[project\.optional-dependencies\]\n(.*?)^\[', project, re.M | re.S)[1]
    names = re.findall(r'^([\w-]+) *=', table, re.MULTILINE)
    return bullets(sorted(set(names) - DEVELOPERS))


def columns() -> str:
    study = to_csv([Summary('', '', 0, 0.0, None, Comparison(), None)])
    tables = {
        'table.csv': study,
        'regions.csv': region_csv({}, []),
        'calibration.csv': calibration_csv({}),
    }
    heads = {name: text.partition('\n')[0].split(',') for name, text in tables.items()}
    return '\n'.join(f'- `{name}`: {listed(head)}' for name, head in heads.items())


def parameters() -> str:
    """Names of the weights in a checkpoint."""
    head = mmseg_pacbal.PACHead(in_channels=8, channels=4, num_classes=2, norm_cfg=dict(type='BN'))
    layer = mmseg_pacbal.PyramidAtrousConv(8, 4, merge='concat')
    states = dict(PyramidAtrousConv=layer, PACHead=head)
    return '\n'.join(f'- `{name}`: {listed(m.state_dict())}' for name, m in states.items())


BLOCKS: dict[str, Callable[[], str]] = dict(
    python=python,
    registries=registries,
    configs=configs,
    settings=lambda: bullets(SPREAD),
    tools=tools,
    variables=variables,
    columns=columns,
    parameters=parameters,
    extras=extras,
)


if __name__ == '__main__':
    argparse.ArgumentParser(description=__doc__.partition('\n')[0]).parse_args()
    PAGE.write_text(fill(PAGE.read_text(), {name: block() for name, block in BLOCKS.items()}))
    print(f'written to {PAGE}')
