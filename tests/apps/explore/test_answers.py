"""What a tab sees of its label, of uploads and of settings, and mistakes of the tool."""

import importlib.util
import socket
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mmseg_pacbal.apps.explore.answers import Answers, message
from mmseg_pacbal.apps.explore.samples import folder_source
from mmseg_pacbal.apps.explore.settings import settings_of, values_of
from tests.running import mistake

SKIP = object()
FAKE = SimpleNamespace(skip=lambda: SKIP, Slider=lambda **slider: slider)
SETTINGS = values_of(settings_of(dict(kernel_size=3, downsample=1)))
VIEW = [*SETTINGS, *SETTINGS, True, 'row', 0]


@pytest.fixture
def answers(tmp_path) -> Answers:
    Image.fromarray(np.eye(9, 12, dtype=np.uint8)).save(tmp_path / 'a.png')
    own = dict(beta=2.0, use_sigmoid=True, loss_weight=0.5)
    return Answers(FAKE, folder_source(tmp_path), own)


def test_a_label_of_the_source(answers, tmp_path):
    sample, slider, position, note = answers.pick(0, 'column')
    assert (slider['value'], slider['maximum'], position, note) == (6, 11, 0, '')
    html, *texts, problem = answers.draw(sample, *VIEW)
    assert 'Label, 12 x 9, 2 classes' in html
    assert problem == ''
    for text in texts:  # what has no control is copied too
        assert 'use_sigmoid=True,' in text and 'loss_weight=0.5,' in text and 'beta' not in text
    (tmp_path / 'a.png').unlink()
    assert answers.pick(0, 'row')[:3] == [SKIP] * 3
    assert 'a.png' in answers.pick(0, 'row')[3]


@pytest.mark.parametrize('content', [np.zeros((3, 4), np.uint8), None], ids=['label', 'text'])
def test_a_file_that_two_tabs_upload_at_once(answers, tmp_path, content):
    path = tmp_path / 'mine.png'
    if content is None:
        path.write_text('no image')
    else:
        Image.fromarray(content).save(path)
    first, second = (answers.take(str(path), 'row') for _ in range(2))
    assert first == second
    assert not path.exists()
    said = 'mine.png is not an image' if content is None else 'mine.png was read, and its file'
    assert said in second[-1]
    gone = answers.take(str(tmp_path / 'other.png'), 'row')
    assert 'other.png is gone; upload it again' in gone[-1]


def test_a_tab_without_a_label(answers):
    *unchanged, problem = answers.draw(None, *VIEW)
    assert unchanged == [SKIP] * 5
    assert 'this tab has no label in memory; choose one, or upload it again' in problem
    assert answers.cut(None, 'row') is SKIP


def test_names_of_files_are_no_html():
    assert message('<img src=x>', mistake=True).count('<') == 2
    assert 'role="alert"' in message('x', mistake=True)


# --- the tool ---


@pytest.mark.slow
def test_port_in_use(capsys, answers, tmp_path):
    pytest.importorskip('gradio')
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        sentence = mistake(capsys, 'explore_weights', '--labels', tmp_path, '--port', port)
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
        'this page needs Gradio, which is not installed; to install it: pip install "gradio>=6"'
    )
