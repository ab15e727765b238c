"""What MkDocs runs while it builds the site (mkdocs.yml): pages and files from outside docs/.

README, the model zoo and others stay where GitHub shows them. Here they become pages of the site,
and whatever else a page links to becomes a page with its text (code), a list (a folder) or a file
(records, pictures). So every link works without a network, and belongs to the version that was
built.
"""

import posixpath
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
# Pages that are written outside docs/, and their names in the site.
PAGES = {
    'README.md': 'index.md',
    'CHANGELOG.md': 'changelog.md',
    'CONTRIBUTING.md': 'contributing.md',
    'SECURITY.md': 'security.md',
    'benchmarks/README.md': 'how_we_measure.md',
    'configs/README.md': 'model_zoo.md',
}
LANGUAGES = {'.py': 'python', '.sh': 'bash', '.yml': 'yaml', '.ipynb': 'json', '': 'text'}
LINK = re.compile(r'(?<=\]\()(?!https?:|mailto:|#)([^)\s#]*)')
# Code is no text: a link inside a block stays as it is.
BLOCK = re.compile(r'(^ *```.*?^ *```$)', re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of ``PAGES`` and everything outside docs/ that a page links to."""
    for source, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    todo = [*files.documentation_pages()]
    while todo:
        page = todo.pop()
        for target in link_targets(page.content_string, source_of(page.src_uri)):
            name = name_in_site(target)
            if files.get_file_from_path(name) is None and (ROOT / target).exists():
                added = outside(config, target, name)
                files.append(added)
                todo += [added] if added.is_documentation_page() else []
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Point the links of a page to the places in the site."""
    here = page.file.src_uri
    if here.startswith('repository/'):  # records and code would hide the pages that explain them
        page.meta['search'] = dict(exclude=True)
    folder = posixpath.dirname(source_of(here))

    def moved(link: re.Match) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[0]))
        return posixpath.relpath(name_in_site(target), posixpath.dirname(here) or '.')

    return outside_blocks(lambda text: LINK.sub(moved, text), markdown)


def on_page_content(html: str, **_: object) -> str:
    """Set formulas in MathML, which browsers draw themselves."""
    inline = r'<span class="arithmatex">\\\((.*?)\\\)</span>'
    html = re.sub(inline, lambda m: convert(unescape(m[1])), html, flags=re.DOTALL)
    block = r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>'
    return re.sub(block, lambda m: _displayed(m[1]), html, flags=re.DOTALL)


def _displayed(formula: str) -> str:
    """A formula on a line of its own, which scrolls where the screen is narrower."""
    return f'<div class="formula">{convert(unescape(formula), display="block")}</div>'


def outside_blocks(change: Callable[[str], str], markdown: str) -> str:
    """Apply ``change`` to what is not in a fenced block of code."""
    parts = BLOCK.split(markdown)
    return ''.join(part if i % 2 else change(part) for i, part in enumerate(parts))


def link_targets(markdown: str, source: str) -> list[str]:
    """Where the relative links of a page lead, from the root of the repository."""
    found = []
    outside_blocks(lambda text: found.extend(LINK.findall(text)) or text, markdown)
    folder = posixpath.dirname(source)
    return [posixpath.normpath(posixpath.join(folder, link)) for link in found if link]


def source_of(name: str) -> str:
    """Where a page of the site comes from, from the root of the repository."""
    sources = {name: source for source, name in PAGES.items()}
    if name.startswith('repository/'):
        return name.removeprefix('repository/')
    return sources.get(name, f'docs/{name}')


def name_in_site(path: str) -> str:
    """The name of a file of the repository in the site: the inverse of :func:`source_of`."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith('docs/'):
        return path.removeprefix('docs/')
    shown = (ROOT / path).is_dir() or Path(path).suffix in LANGUAGES
    return f'repository/{path}.md' if shown else f'repository/{path}'


def outside(config: MkDocsConfig, path: str, name: str) -> File:
    """A file or folder of the repository as a page or, if it is neither text nor code, itself."""
    place = ROOT / path
    if not name.endswith('.md') or place.suffix == '.md':
        return File.generated(config, name, abs_src_path=str(place))
    return File.generated(config, name, content=listing(place) if place.is_dir() else code(place))


def code(file: Path) -> str:
    """A page that shows a file."""
    title = f'# `{file.relative_to(ROOT).as_posix()}`'
    return f'{title}\n\n`````{LANGUAGES[file.suffix]}\n{file.read_text()}`````\n'


def listing(folder: Path) -> str:
    """A page that links to every file of a folder and of those below it."""
    names = sorted(path.relative_to(folder.parent) for path in folder.rglob('*') if path.is_file())
    lines = [f'- [`{name.as_posix()}`]({name.as_posix()})' for name in names]
    return f'# `{folder.relative_to(ROOT).as_posix()}`\n\n' + '\n'.join(lines) + '\n'
