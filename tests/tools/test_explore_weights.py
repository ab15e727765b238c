"""The page in a real browser: every control, uploads, and nothing that leaves this machine."""

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.datasets.synthetic_scene import render_scene, void_rim
from tests.browser import chromium
from tests.running import DEMO, ROOT, mistake

in_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec('gradio') is None, reason='needs mmseg-pacbal[explore]'
    ),
]
# The tool, with a record of every other machine that its process looks up or connects to.
RECORDED = """
import json, runpy, sys

others = open(sys.argv[1], 'a')

def record(event, arguments):
    if event in ('socket.connect', 'socket.getaddrinfo'):
        host = arguments[1] if event == 'socket.connect' else arguments[0]
        host = host[0] if isinstance(host, tuple) else host
        if host not in (None, '', 'localhost', '127.0.0.1', '::1', '0.0.0.0'):
            others.write(f'{event} {host}\\n')
            others.flush()

sys.addaudithook(record)
del sys.argv[0:2]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


class Server:
    """The tool in a process of its own, until :meth:`end`."""

    def __init__(self, folder: Path, *args: object) -> None:
        self.temporary, self.others = folder / 'tmp', folder / 'others.txt'
        self.temporary.mkdir(parents=True)
        tool = ROOT / 'tools' / 'explore_weights.py'
        command = [sys.executable, '-c', RECORDED, self.others, tool, *args]
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env={**os.environ, 'TMPDIR': str(self.temporary), 'PYTHONPATH': str(ROOT)},
        )
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith('open http'):
                self.address = line.split()[1]
                return
        pytest.fail(''.join(lines))

    def uploads(self) -> list[Path]:
        """Files in the folder of uploads; Gradio leaves empty ones, which go when it ends."""
        paths = (p for folder in self.temporary.glob('explore-*') for p in folder.rglob('*'))
        return [path for path in paths if path.is_file() and path.stat().st_size]

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)


@pytest.fixture(scope='module')
def labels(tmp_path_factory) -> Path:
    """Two scenes of 90 x 120 pixels, the first with its image; colours in ``classes.txt``."""
    folder = tmp_path_factory.mktemp('data')
    for name in ('labels', 'images'):
        (folder / name).mkdir()
    for index, name in enumerate('ab'):
        image, label = render_scene(np.random.default_rng(index), (90, 120))
        Image.fromarray(void_rim(label)).save(folder / 'labels' / f'{name}.png')
        if name == 'a':
            Image.fromarray(image).save(folder / 'images' / 'a.png')
    return folder / 'labels'


@pytest.fixture(scope='module')
def server(labels, tmp_path_factory) -> Iterator[Server]:
    served = Server(tmp_path_factory.mktemp('server'), '--labels', labels)
    yield served
    served.end()
    assert served.process.returncode == 0
    assert list(served.temporary.glob('explore-*')) == []  # the folder of uploads
    assert served.others.read_text() == ''


@pytest.fixture(scope='module')
def browser() -> Iterator:
    with chromium() as opened:
        yield opened


class Tab:
    """The page in a tab of the browser."""

    def __init__(self, browser, address: str, **options: object) -> None:
        self.page = browser.new_page(**{'viewport': dict(width=1300, height=900), **options})
        self.requests: list[str] = []
        self.mistakes: list[str] = []
        self.page.on('request', lambda request: self.requests.append(request.url))
        self.page.on('pageerror', lambda error: self.mistakes.append(str(error)))
        self.page.goto(address)
        self.page.wait_for_selector('.explore .card.B img', timeout=60_000)

    def fact(self, side: str, key: str) -> str:
        return self.page.inner_text(f'.card.{side} [data-fact={key}]')

    def html(self, selector: str) -> str:
        return self.page.inner_html(selector)

    def picture(self, selector: str) -> str:
        return self.page.get_attribute(f'{selector} img', 'src')

    def code(self, name: str) -> str:
        """The text of a box; CodeMirror has an element for each line."""
        return '\n'.join(self.page.locator(f'#{name} .cm-line').all_inner_texts())

    def side(self, side: str) -> None:
        self.page.get_by_role('tab', name=side, exact=True).click()

    def number(self, name: str, value: object) -> None:
        box = self.page.locator(f'#{name} input[type=number]')
        box.fill(str(value))
        box.press('Tab')

    def choose(self, name: str, option: str) -> None:
        self.page.locator(f'#{name} input').click()
        self.page.get_by_role('option', name=option).first.click()

    def wait_until_changed(self, selector: str, before: str) -> str:
        self.page.wait_for_function(
            'given => document.querySelector(given[0])?.innerHTML !== given[1]',
            arg=[selector, before],
            timeout=20_000,
        )
        return self.html(selector)

    def upload(self, path: Path) -> str:
        """What the page says of an uploaded file."""
        self.page.set_input_files('input[type=file]', str(path))
        self.page.wait_for_function(
            'name => document.querySelector("#note").innerText.includes(name)', arg=path.name
        )
        return self.page.inner_text('#note .message')

    def hosts(self) -> set[str | None]:
        parts = map(urlsplit, self.requests)
        return {part.hostname for part in parts if part.scheme not in ('data', 'blob')}


@pytest.fixture
def tab(server, browser) -> Iterator[Tab]:
    opened = Tab(browser, server.address)
    yield opened
    assert opened.mistakes == []
    assert opened.hosts() == {'127.0.0.1'}
    opened.page.close()


def in_page(test):
    """Mark a test that needs Gradio and a browser."""
    for mark in in_browser:
        test = mark(test)
    return test


@in_page
def test_page_as_it_opens(tab, server):
    assert urlsplit(server.address).hostname == '127.0.0.1'
    assert tab.picture('.top .image').startswith('data:image/jpeg')
    assert tab.page.inner_text('.top .label figcaption').startswith('Label, ')
    assert tab.page.locator('.explore .card .weight img').count() == 2
    assert tab.page.locator('.explore .chart svg').count() == 2
    assert re.fullmatch(r'\d+\.\d\d acts like a learning rate x \d+\.\d', tab.fact('A', 'mean'))
    assert tab.code('A-config').count('\n') == 8  # defaults, so no argument
    assert 'downsample=1,' in tab.code('B-config')


CONTROLS = [
    # control, how, value, what it adds to the config, what changes with it
    ('kernel', 'radio', 'linear', "kernel='linear'", '.card.A .weight'),
    ('kernel_size', 'number', 9, 'kernel_size=9', '.card.A .weight'),
    ('sigma', 'number', 1.5, 'sigma=1.5', '.card.A .weight'),
    ('beta', 'number', 1.25, 'beta=1.25', '.card.A dl'),
    ('downsample', 'number', 2, 'downsample=2', '.offsets.A'),
    ('antialias', 'check', None, 'antialias=False', '.card.A .weight'),
    ('void_edges', 'check', None, 'void_edges=False', '.card.A .edges'),
    ('ignore_padding', 'check', None, 'ignore_padding=False', '#A-config'),
    ('normalize', 'radio', "'mean'", "normalize='mean'", '.card.A dl'),
    ('ignore_index', 'number', 3, 'ignore_index=3', '.top .label'),
]


@in_page
@pytest.mark.parametrize(
    ('name', 'how', 'value', 'text', 'selector'), CONTROLS, ids=[c[0] for c in CONTROLS]
)
def test_control_changes_its_side_alone(tab, name, how, value, text, selector):
    before, other = tab.html(selector), tab.html('.card.B dl')
    if how == 'number':
        tab.number(f'A-{name}', value)
    elif how == 'radio':
        tab.page.locator(f'#A-{name}').get_by_text(value, exact=True).click()
    else:
        tab.page.locator(f'#A-{name} input').click()
    tab.wait_until_changed(selector, before)
    tab.page.wait_for_function(
        'text => document.querySelector("#A-config").innerText.includes(text)', arg=text
    )
    assert tab.html('.card.B dl') == other or name == 'ignore_index'
    names: dict = {}
    exec(tab.code('A-config'), names)
    head = names['model']['decode_head']
    arguments = {k: v for k, v in head['loss_decode'].items() if k not in ('_delete_', 'type')}
    if 'ignore_index' in head:
        arguments['ignore_index'] = head['ignore_index']
    assert ', '.join(f'{k}={v!r}' for k, v in arguments.items()) == text
    code: dict = {}
    exec(tab.code('A-python').rpartition('\n')[0], code)
    loss, expected = code['loss'], BoundaryAwareLoss(**arguments)
    assert loss.map_args == expected.map_args
    assert (loss.normalize, loss.resolve_ignore_index(None)) == (
        expected.normalize,
        expected.resolve_ignore_index(None),
    )


@in_page
def test_dragging_a_slider(tab):
    before = tab.html('.card.A dl')
    slider = tab.page.locator('#A-beta input[type=range]')
    slider.focus()
    for _ in range(10):
        slider.press('ArrowRight')
    tab.page.wait_for_function(
        'document.querySelector("#A-config").innerText.includes("beta=1.0")', timeout=20_000
    )
    assert tab.html('.card.A dl') != before
    assert tab.page.locator('#A-preset input').input_value() == ''  # no preset any more


@in_page
def test_a_setting_that_is_not_accepted(tab):
    before, problem = tab.html('.card.A'), tab.html('#problem')
    tab.number('A-kernel_size', 8)
    tab.wait_until_changed('#problem', problem)
    sentence = tab.page.inner_text('#problem .alert')
    assert sentence == 'kernel_size must be a positive odd integer, but got 8'
    assert tab.html('.card.A') == before
    tab.number('A-kernel_size', 9)
    tab.wait_until_changed('.card.A', before)
    assert tab.page.locator('#problem .alert').count() == 0


@in_page
def test_preset_and_copy(tab):
    before = tab.html('.card.A dl')
    tab.choose('A-preset', 'Table 1: linear d4 k25 b05')
    tab.wait_until_changed('.card.A dl', before)
    text = tab.code('A-config')
    assert "kernel='linear',\n            kernel_size=25,\n        )," in text
    assert tab.page.locator('#A-kernel_size input[type=number]').input_value() == '25'
    assert tab.fact('A', 'mean') != tab.fact('B', 'mean')
    other = tab.html('.card.B dl')
    tab.page.locator('#copy').click()
    assert tab.wait_until_changed('.card.B dl', other) == tab.html('.card.A dl')
    assert tab.code('B-config') == text
    tab.side('B')
    other = tab.html('.card.B dl')
    tab.number('B-beta', 2)
    tab.wait_until_changed('.card.B dl', other)
    assert 'beta=2.0' in tab.code('B-config')
    assert tab.code('A-config') == text


@in_page
def test_another_label(tab):
    before = tab.html('.top')
    tab.choose('label', 'b.png')
    tab.wait_until_changed('.top', before)
    assert tab.page.locator('.top .image').count() == 0  # it has none
    assert 'over the label' in tab.html('.card.A')


@in_page
def test_profile_follows_slider_direction_and_click(tab):
    def title() -> str:
        return tab.page.locator('.chart figcaption').first.inner_text()

    before = tab.html('.pair .chart')
    tab.number('position', 5)
    before = tab.wait_until_changed('.pair .chart', before)
    assert title() == 'Weights along row y = 5'
    tab.page.locator('#way').get_by_text('column').click()
    before = tab.wait_until_changed('.pair .chart', before)
    assert title().startswith('Weights along column x = ')
    frame = tab.page.locator('.card.A .weight .frame')
    box = frame.bounding_box()
    frame.click(position=dict(x=box['width'] / 4, y=10))
    tab.wait_until_changed('.pair .chart', before)
    assert abs(int(title().rpartition(' ')[2]) - 30) <= 1  # a quarter of 120 pixels


@in_page
def test_scale_of_the_colours(tab):
    bars = '.card .weight .bar span:last-child'
    first, second = tab.page.locator(bars).all_inner_texts()
    assert first == second
    before = tab.html('.card.A .weight')
    tab.page.locator('#same input').click()
    tab.wait_until_changed('.explore > .pair', before)
    tab.page.wait_for_function(
        'given => { const [a, b] = document.querySelectorAll(given);'
        ' return a.innerText !== b.innerText }',
        arg=bars,
    )


@in_page
def test_uploads(tab, server, tmp_path):
    Image.fromarray(np.full((30, 40), 4, np.uint8)).save(tmp_path / 'mine.png')
    ids = np.arange(1200, dtype=np.uint16).reshape(30, 40)
    Image.fromarray(ids).save(tmp_path / 'sixteen.png')
    (tmp_path / 'broken.png').write_bytes((tmp_path / 'sixteen.png').read_bytes()[:100])
    Image.new('L', (5000, 4000)).save(tmp_path / 'huge.png')
    (tmp_path / 'notes.txt').write_text('no image')
    shown = tab.html('.top')
    for name, sentence in {
        'sixteen.png': 'mask sixteen.png holds values beyond 0..255, up to 1199; save the index of '
        'a class in each pixel',
        'broken.png': 'mask broken.png is damaged',
        'huge.png': 'huge.png has 5000 x 4000 pixels, but this page accepts at most 16 million, '
        'and 8000 on a side; crop the label',
        'notes.txt': 'mask notes.txt is not an image',
    }.items():
        assert tab.upload(tmp_path / name).startswith(sentence)
        assert tab.page.locator('#note [role=alert]').count() == 1
        assert tab.html('.top') == shown  # the label before is still there
        assert server.uploads() == []
    assert tab.upload(tmp_path / 'mine.png') == 'mine.png was read, and its file removed.'
    tab.wait_until_changed('.top', shown)
    assert tab.page.inner_text('.top .label figcaption') == 'Label, 40 x 30, 1 class, 0.0% void'
    assert tab.page.locator('#label input').input_value() == ''
    assert server.uploads() == []


@in_page
@pytest.mark.parametrize('width', [360, 1300])
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_page_fits_the_screen(server, browser, width, scheme):
    tab = Tab(browser, server.address, viewport=dict(width=width, height=800), color_scheme=scheme)
    assert tab.page.evaluate('document.documentElement.scrollWidth') <= width
    box = tab.page.locator('#A-kernel_size').bounding_box()
    assert box['x'] >= 0
    assert box['x'] + box['width'] <= width
    tab.page.close()


@in_page
def test_config_with_a_checkpoint(tiny, tmp_path, browser):
    config, checkpoint = tiny
    served = Server(tmp_path, config, '--checkpoint', checkpoint)
    tab = Tab(browser, served.address)
    assert tab.page.locator('#A-preset input').input_value() == "the config's loss"
    assert "normalize='mean'" in tab.code('A-config')
    assert 'Cross entropy, mean' in tab.html('.top .loss')
    assert 'times cross entropy, mean' in tab.html('.card.A .weighted')
    assert tab.hosts() == {'127.0.0.1'}
    tab.page.close()
    served.end()
    assert served.others.read_text() == ''


def test_mistakes_are_one_sentence(capsys, tmp_path):
    pytest.importorskip('gradio')
    folder = mistake(capsys, 'explore_weights', '--labels', tmp_path / 'nowhere')
    assert folder.endswith('nowhere does not exist; give a folder of label maps')
    both = mistake(capsys, 'explore_weights', DEMO, '--labels', tmp_path)
    assert both.startswith('--labels needs no config')
    assert 'config none.py does not exist' in mistake(capsys, 'explore_weights', 'none.py')


@pytest.mark.slow
def test_port_in_use(capsys, labels):
    pytest.importorskip('gradio')
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        sentence = mistake(capsys, 'explore_weights', '--labels', labels, '--port', port)
    assert sentence == (
        f'nothing can listen at 127.0.0.1:{port}; give another --port, or a --host of this machine'
    )


def test_error_says_that_gradio_is_missing(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name, *a: None if name == 'gradio' else find(name, *a)
    )
    assert mistake(capsys, 'explore_weights') == (
        'this page needs Gradio, which is not installed; to install it: '
        'pip install "mmseg-pacbal[explore]"'
    )
