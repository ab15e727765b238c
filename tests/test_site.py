"""The documentation site: built strictly without a network, and used in a browser."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser import chromium, watch
from tests.environments import run_python
from tests.pages import PAGES, name

pytestmark = pytest.mark.slow
# Building ends with an error if anything opens a connection.
BUILD = """
import sys

def refuse(event, arguments):
    if event in ('socket.connect', 'socket.getaddrinfo'):
        raise RuntimeError(f'{event} {arguments} while building')

sys.addaudithook(refuse)
from mkdocs.__main__ import cli
cli(['build', '--strict', '--quiet', '--site-dir', sys.argv[1]])
"""
PHONE, DESKTOP = (390, 844), (1280, 900)


@pytest.fixture(scope='module')
def site(tmp_path_factory) -> Path:
    for package in ('material', 'mkdocstrings', 'latex2mathml'):
        pytest.importorskip(package, reason='needs mmseg-pacbal[docs]')
    folder = tmp_path_factory.mktemp('site')
    built = run_python(BUILD, folder)
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    return folder


class Links(HTMLParser):
    """What a page links to and loads, and the anchors that it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {found[key] for key in ('id', 'name') if found.get(key)}
        if tag == 'a' and found.get('href'):
            self.links.add(found['href'])
        elif tag == 'link' and found.get('rel') in ('stylesheet', 'icon'):
            self.loaded.add(found['href'])
        elif tag in ('img', 'script') and found.get('src'):
            self.loaded.add(found['src'])


def test_links_and_anchors_of_the_built_pages_lead_somewhere(site):
    pages = {path: Links(path) for path in site.rglob('*.html') if path.name != '404.html'}
    assert len(pages) > len(PAGES)
    broken = []
    for path, page in pages.items():
        for link in page.links | page.loaded:
            url = urlsplit(link)
            if url.scheme:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            known = pages[target].anchors if target in pages else set()
            if not target.is_file() or (url.fragment and unquote(url.fragment) not in known):
                broken.append(f'{path.relative_to(site)}: {link}')
    assert broken == []


def test_pages_load_nothing_from_other_hosts(site):
    for path in site.rglob('*.html'):
        loaded = Links(path).loaded
        assert [link for link in loaded if urlsplit(link).scheme not in ('', 'data')] == []


def test_every_page_is_in_the_site(site):
    moved = dict(
        [('README.md', 'index'), ('configs/README.md', 'model_zoo')],
        **{'CONTRIBUTING.md': 'contributing', 'benchmarks/README.md': 'how_we_measure'},
    )
    for page in PAGES:
        place = moved.get(name(page), name(page).removeprefix('docs/').removesuffix('.md'))
        assert (site / f'{place}.html').is_file(), page


def test_formulas_and_reference_are_set(site):
    method = (site / 'how_it_works.html').read_text()
    assert method.count('<math') > 20
    assert '\\frac' not in method and '$$' not in method
    reference = (site / 'api' / 'core.html').read_text()
    assert 'kernel_size' in reference and '<math' in reference
    for markup in (':func:', ':class:', ':math:', '.. math::'):
        assert markup not in reference


def test_code_of_the_repository_is_a_page(site):
    shown = (site / 'repository' / 'configs' / 'pac_bal_voc.py.html').read_text()
    assert 'pac_voc.py' in shown and 'ResNet + PAC + BAL' in shown


@pytest.mark.parametrize(
    ('size', 'scheme'), [(PHONE, 'light'), (DESKTOP, 'dark')], ids=['phone', 'desktop']
)
def test_pages_fit_the_screen(site, size, scheme):
    with chromium() as browser:
        viewport = dict(width=size[0], height=size[1])
        page = browser.new_context(viewport=viewport, color_scheme=scheme).new_page()
        asked = watch(page)
        wide = {}
        for file in [*site.glob('*.html'), *site.glob('api/*.html')]:
            page.goto(file.as_uri())
            wide[file.name] = page.evaluate('document.documentElement.scrollWidth')
        assert {name for name, width in wide.items() if width > size[0]} == set()
        assert asked == []
        colour = page.evaluate('getComputedStyle(document.body).backgroundColor')
        red = int(colour.partition('(')[2].partition(',')[0])
        assert (red > 200) == (scheme == 'light')


def test_search_finds_a_page_without_a_server(site):
    with chromium() as browser:
        page = browser.new_page()
        asked = watch(page)
        page.goto((site / 'index.html').as_uri())
        page.click('input.md-search__input')
        page.keyboard.type('trimap')
        found = '.md-search-result__link[href*="boundary_metrics.html"]:visible'
        result = page.locator(found).first
        result.wait_for(timeout=120_000)
        assert asked == []
        result.click()
        page.wait_for_url('**/boundary_metrics.html**')
