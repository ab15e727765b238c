"""The page in a real browser: every control, uploads, and nothing that leaves this machine."""

import importlib.util
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.apps.explore.settings import NAMES
from mmseg_pacbal.datasets.synthetic_scene import render_scene, void_rim
from tests.browser import chromium
from tests.running import ROOT, tool_command

missing = importlib.util.find_spec('gradio') is None
skip = pytest.mark.skipif(missing, reason='needs mmseg-pacbal[explore]')
pytestmark = [pytest.mark.slow, skip]
# The tool, with a record of every other machine that its process looks up or connects to.
RECORDED = """
import runpy, sys

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
        python, *tool = tool_command('explore_weights', *args)
        self.process = subprocess.Popen(
            [python, '-c', RECORDED, str(self.others), *tool],
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
        assert self.process.returncode == 0
        assert list(self.temporary.glob('explore-*')) == []  # the folder of uploads
        assert self.others.read_text() == ''


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


@pytest.fixture(scope='module')
def server_with_loss(tiny, tmp_path_factory) -> Iterator[Server]:
    config, checkpoint = tiny
    served = Server(tmp_path_factory.mktemp('server'), config, '--checkpoint', checkpoint)
    yield served
    served.end()


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

    def box(self, selector: str) -> dict[str, float]:
        return self.page.locator(selector).first.bounding_box()

    def code(self, name: str) -> str:
        """The text of a box; CodeMirror has an element for each line."""
        return '\n'.join(self.page.locator(f'#{name} .cm-line').all_inner_texts())

    def side(self, side: str) -> None:
        self.page.get_by_role('tab', name=side, exact=True).click()
        self.page.wait_for_selector(f'#{side}-beta')
        # Gradio builds the controls of a tab when it is opened, and gives them their values next.
        self.page.evaluate('new Promise(done => requestIdleCallback(done))')

    def number(self, name: str, value: object) -> None:
        box = self.page.locator(f'#{name} input[type=number]')
        box.fill(str(value))
        box.press('Tab')

    def choose(self, name: str, option: str) -> None:
        self.page.locator(f'#{name} input').click()
        self.page.get_by_role('option', name=option).first.click()

    def wait(self, condition: str, given: object = None) -> None:
        """Wait until an expression of JavaScript is true."""
        self.page.wait_for_function(f'given => {condition}', arg=given, timeout=120_000)

    def wait_until_changed(self, selector: str, before: str) -> str:
        condition = 'document.querySelector(given[0])?.innerHTML !== given[1]'
        self.wait(condition, [selector, before])
        return self.html(selector)

    def upload(self, path: Path) -> str:
        """What the page says of an uploaded file."""
        self.page.set_input_files('input[type=file]', str(path))
        self.wait('document.querySelector("#note").innerText.includes(given)', path.name)
        return self.page.inner_text('#note .message')

    def end(self) -> None:
        assert self.mistakes == []
        parts = map(urlsplit, self.requests)
        assert {p.hostname for p in parts if p.scheme not in ('data', 'blob')} == {'127.0.0.1'}
        self.page.close()


@pytest.fixture
def tab(server, browser) -> Iterator[Tab]:
    opened = Tab(browser, server.address)
    yield opened
    opened.end()


@pytest.fixture
def phone(server, browser) -> Iterator[Tab]:
    opened = Tab(browser, server.address, viewport=dict(width=360, height=800))
    yield opened
    opened.end()


def test_page_as_it_opens(tab, server):
    assert urlsplit(server.address).hostname == '127.0.0.1'
    assert tab.page.get_attribute('.top .image img', 'src').startswith('data:image/jpeg')
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
    tab.wait('document.querySelector("#A-config").innerText.includes(given)', text)
    assert tab.html('.card.B dl') == other or name == 'ignore_index'
    names: dict = {}
    exec(tab.code('A-config'), names)
    head = names['model']['decode_head']
    arguments = {k: v for k, v in head['loss_decode'].items() if k not in ('_delete_', 'type')}
    if 'ignore_index' in head:
        arguments['ignore_index'] = head['ignore_index']
    assert ', '.join(f'{k}={v!r}' for k, v in arguments.items()) == text
    exec(tab.code('A-python').rpartition('\n')[0], names)
    loss, expected = names['loss'], BoundaryAwareLoss(**arguments)
    assert loss.map_args == expected.map_args
    assert (loss.normalize, loss.ignore_index) == (expected.normalize, expected.ignore_index)


def test_dragging_a_slider(tab):
    before = tab.html('.card.A dl')
    slider = tab.page.locator('#A-beta input[type=range]')
    slider.focus()
    for _ in range(10):
        slider.press('ArrowRight')
    tab.wait('document.querySelector("#A-config").innerText.includes("beta=1.0")')
    assert tab.html('.card.A dl') != before
    assert tab.page.locator('#A-preset input').input_value() == ''  # no preset any more


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


@pytest.mark.parametrize(
    ('name', 'value', 'ends', 'selector', 'shown'),
    [
        ('A-kernel_size', 500, 'kernel_size goes from 1 to 101', '.card.A h3', 'size 101,'),
        ('A-downsample', 0, 'downsample goes from 1 to 16', '.card.A h3', 'downsample 1'),
        ('position', 90, 'at pixel goes from 0 to 89', '.chart figcaption', 'row y = 89'),
    ],
)
def test_a_number_beyond_the_ends_of_a_slider(tab, name, value, ends, selector, shown):
    field = tab.page.locator(f'#{name} input[type=number]')
    field.fill(str(value))
    tab.page.wait_for_selector('.toast-body')
    toast = tab.page.locator('.toast-body').inner_text()
    assert f'{ends} on this page, but got {value}' in toast
    field.press('Tab')  # Gradio's field then shows an end, and so does the page
    tab.wait('document.querySelector(given[0]).innerText.includes(given[1])', [selector, shown])
    assert shown.strip(',').endswith(field.input_value())


def test_preset_and_copy(tab):
    before = tab.html('.card.A dl')
    tab.choose('A-preset', 'Table 1: linear d4 k25 b05')
    tab.wait_until_changed('.card.A dl', before)
    field, arrow = tab.box('#A-preset input'), tab.box('#A-preset .icon-wrap')
    get = 'field => [getComputedStyle(field).paddingRight, getComputedStyle(field).textOverflow]'
    padding, overflow = tab.page.eval_on_selector('#A-preset input', get)
    end = field['x'] + field['width'] - float(padding.removesuffix('px'))
    assert end <= arrow['x'] + 1  # no text under the arrow
    assert overflow == 'ellipsis'
    text = tab.code('A-config')
    assert "kernel='linear',\n            kernel_size=25,\n        )," in text
    assert tab.page.locator('#A-kernel_size input[type=number]').input_value() == '25'
    assert tab.fact('A', 'mean') != tab.fact('B', 'mean')
    tab.page.locator('#copy').click()
    card = 'document.querySelector(".card.%s dl").innerHTML'
    tab.wait(f'{card % "A"} === {card % "B"}')
    assert tab.code('B-config') == text
    tab.side('B')
    other = tab.html('.card.B dl')
    tab.number('B-beta', 2)
    tab.wait_until_changed('.card.B dl', other)
    assert 'beta=2.0' in tab.code('B-config')
    assert tab.code('A-config') == text


def test_copy_draws_nothing_halfway(tab):
    """Several sliders change at once; a drawing of some of them could be the last to arrive."""
    asked = []
    tab.page.on('request', lambda r: asked.append(r.post_data_json if r.post_data else {}))
    card = 'document.querySelector(".card.%s dl").innerHTML'
    assert tab.html('.card.A dl') != tab.html('.card.B dl')
    tab.page.locator('#copy').click()
    tab.wait(f'{card % "A"} === {card % "B"}')
    count = len(NAMES)
    drawn = [each['data'][1:] for each in asked if len(each.get('data', [])) > 2 * count]
    assert [values[:count] == values[count : 2 * count] for values in drawn] == [True]


def test_another_label(tab):
    before = tab.html('.top')
    tab.choose('label', 'b.png')
    tab.wait_until_changed('.top', before)
    assert tab.page.locator('.top .image').count() == 0  # it has none
    assert 'over the label' in tab.html('.card.A')


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


def test_scale_of_the_colours(tab):
    bars = '.card .weight .bar span:last-child'
    first, second = tab.page.locator(bars).all_inner_texts()
    assert first == second
    tab.page.locator('#same input').click()
    tab.wait('(([a, b]) => a.innerText !== b.innerText)(document.querySelectorAll(given))', bars)


def test_uploads(tab, server, tmp_path):
    Image.fromarray(np.full((30, 40), 4, np.uint8)).save(tmp_path / 'mine.png')
    Image.new('L', (5000, 4000)).save(tmp_path / 'huge.png')
    (tmp_path / 'notes.txt').write_text('no image')
    shown = tab.html('.top')
    for name, sentence in {
        'huge.png': 'huge.png has 5000 x 4000 pixels, but this page accepts at most 16 million, '
        'and 8000 on a side; crop the label',
        'notes.txt': 'mask notes.txt is not an image',
    }.items():
        assert tab.upload(tmp_path / name).startswith(sentence)
        assert tab.page.locator('#note [role=alert]').count() == 1
        assert tab.html('.top') == shown  # the label before is still there
        assert server.uploads() == []
    (tmp_path / 'large.png').write_bytes(bytes(33 * 2**20))
    tab.page.set_input_files('input[type=file]', str(tmp_path / 'large.png'))
    toast = tab.page.wait_for_selector('.toast-body').inner_text()
    assert 'exceed the maximum allowed size of 32.0 Mb: "large.png"' in toast
    assert tab.upload(tmp_path / 'mine.png') == 'mine.png was read, and its file removed.'
    tab.wait_until_changed('.top', shown)
    assert tab.page.inner_text('.top .label figcaption') == 'Label, 40 x 30, 1 class, 0.0% void'
    assert tab.page.locator('#label input').input_value() == ''
    assert server.uploads() == []


@pytest.mark.parametrize('width', [360, 1300])
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_page_fits_the_screen(server, browser, width, scheme):
    tab = Tab(browser, server.address, viewport=dict(width=width, height=800), color_scheme=scheme)
    assert tab.page.evaluate('document.documentElement.scrollWidth') <= width
    box = tab.box('#A-kernel_size')
    assert box['x'] >= 0
    assert box['x'] + box['width'] <= width
    tab.end()


def test_panel_of_a_phone(phone):
    """It leaves two thirds of the screen, and nothing of the page lies over it."""
    panel = phone.box('.controls')
    assert panel['y'] + panel['height'] == 800
    assert panel['height'] <= 800 / 3
    for step in range(0, 4000, 40):
        phone.page.evaluate('y => window.scrollTo(0, y)', step)
        covering = phone.page.evaluate(
            """top => [...document.querySelectorAll('button')].filter(button => {
              const box = button.getBoundingClientRect();
              const x = box.x + box.width / 2, y = box.y + box.height / 2;
              return !button.closest('.controls') && y > top + 2 && y < innerHeight
                && !document.elementFromPoint(x, y).closest('.controls');
            }).map(button => button.ariaLabel)""",
            panel['y'],
        )
        assert covering == []


def test_table_of_offsets_of_a_phone(phone):
    before = phone.html('.offsets.A')
    phone.number('A-downsample', 16)
    phone.wait_until_changed('.offsets.A', before)
    rows = phone.page.locator('.offsets.A tr')
    assert rows.count() == 17
    assert rows.nth(16).locator('td').count() == 4
    table, last = phone.box('.offsets.A table'), phone.box('.offsets.A tr:last-child td:last-child')
    assert last['x'] + last['width'] <= table['x'] + table['width'] + 1 <= 361
    weight = 'cells => cells.map(cell => getComputedStyle(cell).fontWeight)'
    assert rows.nth(1).locator('td').evaluate_all(weight) == ['700', '400'] * 2  # antialias is on


@pytest.mark.parametrize('width', [360, 1300])
def test_pictures_are_level(server_with_loss, browser, width):
    """Whatever room their captions take, and whether a bar lies below."""
    tab = Tab(browser, server_with_loss.address, viewport=dict(width=width, height=800))
    assert tab.page.locator('#A-preset input').input_value() == "the config's loss"
    assert "normalize='mean'" in tab.code('A-config')
    assert 'Cross entropy, mean' in tab.html('.top .loss')
    assert 'times cross entropy, mean' in tab.html('.card.A .weighted')
    assert 'E<sub>G</sub> / mean over' in tab.html('.card.A .weight')
    assert 'E<sub>G</sub> over' in tab.html('.card.B .weight')

    def heights(*selectors: str) -> set[int]:
        return {round(tab.box(f'{each} .frame')['y']) for each in selectors}

    assert len(heights('.top .image', '.top .label', '.top .loss')) == 1
    for kind in ('weight', 'edges', 'weighted'):
        assert len(heights(f'.card.A .{kind}', f'.card.B .{kind}')) == 1
    if width == 1300:
        assert len(heights('.card.A .edges', '.card.A .weighted')) == 1
    tab.end()
