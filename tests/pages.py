"""The pages of the documentation, and the code in them."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.environments import ROOT

PAGES = [
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'configs/README.md')),
    ROOT / 'benchmarks' / 'README.md',
    *sorted((ROOT / 'docs').rglob('*.md')),
]
FENCE = re.compile(r'^```(\w*).*?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r'(?<=\n\n)((?: {4}.*\n)+)')
IN_LINE = re.compile(r'`([^`\n]+)`')
# How a command of the text begins; other code in a line is a name or an expression.
COMMAND = re.compile(
    r'(?:[A-Z_]+=\S+ )*(?:python |pip |pytest|tools/\w+\.(?:py|sh) |mkdocs |ruff )'
)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for lang, body in FENCE.findall(page.read_text()) if lang == language]


def commands(page: Path) -> Iterator[str]:
    """Every command line of a page: in blocks of bash, indented, or in the text."""
    text = page.read_text()
    for block in blocks(page, 'bash'):
        yield from lines(block)
    text = FENCE.sub('', text)
    for block in INDENTED.findall(text):
        yield from filter(COMMAND.match, lines(block))
    yield from filter(COMMAND.match, IN_LINE.findall(INDENTED.sub('', text)))


def lines(block: str) -> list[str]:
    """The commands of a block, without comments and line breaks."""
    joined = re.sub(r'\\\n\s*', '', block).replace('$TOOLS', 'tools').replace('$CONFIGS', 'configs')
    bare = (re.sub(r'(^|\s)#.*$| > \S+$', '', line).strip() for line in joined.splitlines())
    return [command.strip() for line in bare for command in re.split(r'&&|[;|]', line) if command]
