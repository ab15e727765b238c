"""A headless Chromium that notes what it asks other hosts for."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

# No call of the browser itself to its maker, none to a GPU, and no sandbox, which root has not.
ARGUMENTS = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
]


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of Playwright's; skips the test where there is no Chromium."""
    api = pytest.importorskip('playwright.sync_api', reason='needs playwright: .[dev]')
    path = shutil.which('chromium') or shutil.which('chromium-browser')
    if path is None:
        pytest.skip('needs Chromium')
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def watch(page: Any) -> list[str]:
    """A list that grows by every request of a page to another host than this one."""
    asked: list[str] = []
    ours = ('file:', 'data:', 'blob:', 'about:', 'http://127.0.0.1', 'http://localhost')
    page.on('request', lambda r: None if r.url.startswith(ours) else asked.append(r.url))
    return asked
