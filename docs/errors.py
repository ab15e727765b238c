"""The page of errors, from the source and docs/errors.yml: python docs/errors.py

Fills the tables of docs/errors.md: the messages as the code has them, with the cause and the remedy
that docs/errors.yml gives each.
"""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # python docs/errors.py

from docs.error_messages import Raised, collect  # noqa: E402
from mmseg_pacbal.markdown import fill, to_markdown  # noqa: E402

PAGE = ROOT / 'docs' / 'errors.md'


class Entry(NamedTuple):
    """What docs/errors.yml says of one error.

    ``says`` is a part of the message that no other error of the file has. Errors that no user sees
    have the reason as ``cause``, and no area.
    """

    file: str
    says: str
    cause: str
    do: str = ''
    area: str = ''


@cache
def explained() -> dict[str, Any]:
    return yaml.safe_load((ROOT / 'docs' / 'errors.yml').read_text(encoding='utf-8'))


def entries() -> Iterator[Entry]:
    """All entries, in the order of the page; those of internal errors last."""
    for area in explained()['areas']:
        for file, errors in area['errors'].items():
            yield from (Entry(file, **error, area=area['area']) for error in errors)
    for file, errors in explained()['internal'].items():
        yield from (Entry(file, says, reason) for says, reason in errors.items())


def match(raised: list[Raised], given: list[Entry]) -> tuple[dict[Entry, Raised], list[str]]:
    """Give each entry its error; one sentence for each entry and error for which that fails."""
    found: dict[Entry, Raised] = {}
    problems: list[str] = []
    for entry in given:
        fitting = [r for r in raised if r.file == entry.file and entry.says in r.shown]
        if len(fitting) == 1:
            found[entry] = fitting[0]
        else:
            problems.append(
                f'docs/errors.yml: {len(fitting)} errors of {entry.file} say {entry.says!r}; '
                'give a part of exactly one message, or remove the entry'
            )
    for r in raised:
        times = sum(error == r for error in found.values())
        if times != 1:
            problems.append(
                f'{r.file}:{r.line}: docs/errors.yml explains {r.shown!r} {times} times; add an '
                'entry with says, cause and do to an area, or keep one of them'
            )
    return found, problems


def errors(found: dict[Entry, Raised]) -> str:
    """A section with a table for each area."""
    sections = []
    for area in explained()['areas']:
        name = area['area']
        rows = [[code(found[e].shown), e.cause, e.do] for e in found if e.area == name]
        table = to_markdown(['message', 'cause', 'what to do'], rows, left=3)
        sections += [f'## {name}', *filter(None, [area.get('intro', '').strip()]), table]
    return '\n\n'.join(sections)


def contents() -> str:
    """Links to the sections."""
    names = [area['area'] for area in explained()['areas']]
    return ' -\n'.join(f'[{name}](#{anchor(name)})' for name in names)


def anchor(heading: str) -> str:
    """Of a heading, as GitHub and MkDocs make it."""
    return re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')


def code(text: str) -> str:
    """Text as code, for a cell of a table."""
    marked = f'`` {text} ``' if '`' in text else f'`{text}`'
    return marked.replace('|', r'\|')


def settings() -> str:
    """What ``check_arguments`` accepts, read from its calls."""
    rows: dict[tuple[str, str], dict[str, None]] = {}
    for path in sorted((ROOT / 'mmseg_pacbal').rglob('*.py')):
        for name, words in accepted(path):
            file = path.relative_to(ROOT / 'mmseg_pacbal').as_posix()
            rows.setdefault((name, words), {})[code(file)] = None
    cells = [[code(name), words, ', '.join(files)] for (name, words), files in sorted(rows.items())]
    return to_markdown(['argument', 'must be', 'checked in'], cells, left=3)


def accepted(path: Path) -> Iterator[tuple[str, str]]:
    """Arguments that a module passes to ``check_arguments``, with what they must be."""
    module = path.relative_to(ROOT).with_suffix('').as_posix().replace('/', '.')
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) != 'check_arguments':
            continue
        names = vars(importlib.import_module(module))
        table = node.args[0]
        match table:
            case ast.Call(func=ast.Attribute(attr='fromkeys'), args=[keys, words]):
                given = _keywords(path, ast.unparse(keys))
                yield from ((name, names[ast.unparse(words)].words) for name in given)
            case _:
                wanted = eval(ast.unparse(table), dict(names))
                yield from ((name, accepted.words) for name, accepted in wanted.items())


def _keywords(path: Path, name: str) -> list[str]:
    """The keys of a variable that a module sets to ``dict(...)``."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return [k.arg for k in node.value.keywords]
    raise LookupError(f'{path} has no {name} = dict(...)')


def blocks() -> dict[str, str]:
    """The generated blocks of the page.

    Raises:
        ValueError: An error has no explanation, or an explanation has no error.
    """
    found, problems = match(collect(ROOT), list(entries()))
    if problems:
        raise ValueError('\n'.join(problems))
    return dict(contents=contents(), errors=errors(found), settings=settings())


def main() -> None:
    try:
        text = fill(PAGE.read_text(encoding='utf-8'), blocks())
    except ValueError as error:
        sys.exit(str(error))
    PAGE.write_text(text, encoding='utf-8')
    print(f'written to {PAGE}')


if __name__ == '__main__':
    main()
