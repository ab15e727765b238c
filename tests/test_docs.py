"""Every relative link and anchor of README and docs leads somewhere."""

import re
from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.pages import PAGES, name

LINK = re.compile(r'\]\(([^)\s]+)\)')


def anchors(page: Path) -> set[str]:
    """Of headings, as GitHub makes them."""
    headings = re.findall(r'^#+ (.*)$', page.read_text(), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if link.startswith(('http://', 'https://')):
            continue
        path, _, anchor = link.partition('#')
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize('page', ['README.md', 'docs/results.md'])
def test_page_is_short(page):
    assert len((ROOT / page).read_text().splitlines()) <= 120


def test_every_page_can_be_reached():
    seen, todo = set(), [ROOT / 'README.md']
    while todo:
        page = todo.pop()
        seen.add(page)
        for link in LINK.findall(page.read_text()):
            target = (page.parent / link.partition('#')[0]).resolve()
            if target.suffix == '.md' and target.exists() and target not in seen:
                todo.append(target)
    assert set(PAGES) <= seen


def test_the_method_shows_the_reference_as_it_is():
    page = (ROOT / 'docs' / 'how_it_works.md').read_text()
    code = (ROOT / 'mmseg_pacbal' / 'ops' / 'reference.py').read_text()
    assert f'\n```python\n{code}```\n' in page
