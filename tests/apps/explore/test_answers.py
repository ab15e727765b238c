"""Labels of many tabs: what is kept, what is dropped, and what a tab sees of it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mmseg_pacbal.apps.explore.answers import Answers
from mmseg_pacbal.apps.explore.controls import values_of
from mmseg_pacbal.apps.explore.memory import OVERHEAD, BoundedCache
from mmseg_pacbal.apps.explore.samples import FolderSource
from mmseg_pacbal.apps.explore.settings import settings_of

SKIP = object()
FAKE = SimpleNamespace(skip=lambda: SKIP, Slider=lambda **slider: slider)
SETTINGS = values_of(settings_of(dict(kernel_size=3, downsample=1)))
OTHERS = dict(use_sigmoid=True, loss_weight=0.5)
VIEW = [*SETTINGS, *SETTINGS, True, 'row', 0]


@pytest.fixture
def answers(tmp_path) -> Answers:
    (tmp_path / 'labels').mkdir()
    for name in 'ab':
        Image.fromarray(np.eye(9, 12, dtype=np.uint8)).save(tmp_path / 'labels' / f'{name}.png')
    return Answers(FAKE, FolderSource(tmp_path / 'labels'), {}, OTHERS, tmp_path / 'uploads')


def upload(answers: Answers, name: str, content: np.ndarray | bytes) -> str:
    """A file where Gradio puts it."""
    path = answers.uploads / name / 'mine.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        Image.fromarray(content).save(path)
    return str(path)


def test_labels_of_60_tabs_are_bounded_by_bytes(answers):
    answers.kept = BoundedCache(100_000)
    labels = [np.full((100, 100), k, np.uint8) for k in range(60)]
    keys = [answers.take(upload(answers, str(k), labels[k]), 'row')[0] for k in range(60)]
    assert 80_000 < answers.kept.bytes <= 100_000
    shown = answers.draw(keys[-1], *VIEW)
    assert 'Label, 100 x 100, 1 class' in shown[0]
    for text in shown[1:5]:  # what has no control is copied too
        assert 'use_sigmoid=True,' in text and 'loss_weight=0.5,' in text
    *unchanged, sentence = answers.draw(keys[0], *VIEW)
    assert unchanged == [SKIP] * 5
    assert (
        'mine.png is no longer in memory: later uploads needed its room; upload it again, or '
        'choose another label'
    ) in sentence
    assert answers.turn(keys[0], 'row') is answers.point(keys[0], 'row', 0.5, 0.5) is SKIP


def test_a_label_of_the_source_is_read_again(answers):
    answers.kept = BoundedCache(0)
    key = answers.pick(1, 'row')[0]
    assert 'Label, 12 x 9, 2 classes' in answers.draw(key, *VIEW)[0]
    Path(answers.source._paths[1]).unlink()
    assert 'b.png' in answers.draw(key, *VIEW)[-1]


@pytest.mark.parametrize('content', [np.zeros((3, 4), np.uint8), b'no image'])
def test_a_file_that_two_tabs_upload_at_once(answers, content):
    path = upload(answers, 'hash', content)
    first, second = (answers.take(path, 'row') for _ in range(2))
    assert first == second
    assert not Path(path).exists()
    said = 'is not an image' if isinstance(content, bytes) else 'was read, and its file removed'
    assert said in second[-1]
    answers.kept = BoundedCache(0)
    assert 'mine.png is gone; upload it again' in answers.take(path, 'row')[-1]


def test_the_cache_drops_what_was_not_used_for_longest():
    cache: BoundedCache[np.ndarray] = BoundedCache(2 * OVERHEAD + 25)
    for key in 'ab':
        cache.put(key, np.zeros(10, np.uint8))
    assert cache.get('a').nbytes == 10
    cache.put('c', np.zeros(15, np.uint8))
    assert (cache.get('b'), cache.bytes) == (None, cache.most_bytes)
    cache.put('c', np.zeros(5, np.uint8))
    assert (len(cache.get('a')), cache.bytes) == (10, 2 * OVERHEAD + 15)
    cache.put('d', np.zeros(2 * OVERHEAD + 26, np.uint8))
    assert cache.bytes == 0
