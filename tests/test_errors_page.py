"""The page of errors holds every error that is raised, in its words, and explains it once."""

import re

import pytest
import torch

from docs.error_messages import collect
from docs.errors import PAGE, Entry, blocks, entries, match
from mmseg_pacbal import BoundaryAwareLoss, compat, stack
from mmseg_pacbal.markdown import fill
from mmseg_pacbal.stack import installed_versions
from tests.environments import ROOT

SOURCE = """
LIMIT = 256

def load(path, names, found=None):
    more = f' and {len(names) - 1} more' if names else ''
    if not path:
        raise ValueError(f'{path!r} holds {", ".join(names)}{more}, but accepted are 0..{LIMIT}')
    problems = [f'{name} is missing' for name in names]
    problems.append(f'{found["size"]:,} is too large')
    try:
        pass
    except OSError as error:
        raise ConnectionError('cut off: ' + f'{error}; try again') from error
    except KeyError:
        raise

class Head:
    def check(self, parser):
        if self.head.sampler:
            raise library.HeadError(f'{type(self).__name__} has {self.head.sampler}')
        parser.error(f'give a {"mask" if self.head else "head"}')
        raise NotImplementedError
"""
SHOWN = {
    'ValueError: <path> holds <names>[ and <number> more], but accepted are 0..256',
    '<name> is missing',
    '<size> is too large',
    'ConnectionError: cut off: <error>; try again',
    'HeadError: <class> has <head.sampler>',
    'error: give a {mask | head}',
    'NotImplementedError: ',
}


@pytest.fixture
def source(tmp_path):
    for folder in ('mmseg_pacbal', 'tools'):
        (tmp_path / folder).mkdir()
    (tmp_path / 'tools' / 'load.py').write_text(SOURCE)
    return tmp_path


def test_messages_are_collected_with_placeholders(source):
    found = collect(source)
    assert {r.shown for r in found} == SHOWN
    assert {r.file for r in found} == {'tools/load.py'}
    assert found[0].line == SOURCE.splitlines().index('    if not path:') + 2


def explain(*says: str) -> list[Entry]:
    return [Entry('tools/load.py', part, 'A cause.', 'A remedy.') for part in says]


ALL = ('holds', '<name> is missing', 'too large', 'cut off', 'HeadError', 'give a', 'NotImpl')


def test_every_error_is_explained_once(source):
    raised = collect(source)
    found, problems = match(raised, explain(*ALL))
    assert problems == []
    assert {r.shown for r in found.values()} == SHOWN


@pytest.mark.parametrize(
    'says, problem',
    [
        (ALL[1:], r"^tools/load.py:\d+: docs/errors.yml explains 'ValueError: .* 0 times; add an "),
        ((*ALL, 'accepted are'), r"^tools/load.py:\d+: .* explains 'ValueError: .* 2 times; "),
        ((*ALL, 'too small'), "^docs/errors.yml: 0 errors of tools/load.py say 'too small'; give "),
        ((*ALL, 'is '), "^docs/errors.yml: 2 errors of tools/load.py say 'is '; give a part of"),
    ],
    ids=['new error', 'explained twice', 'removed or reworded', 'two errors'],
)
def test_difference_is_named(source, says, problem):
    _, problems = match(collect(source), explain(*says))
    assert len(problems) == 1
    assert re.search(problem, problems[0])


def test_page_follows_the_code():
    text = PAGE.read_text(encoding='utf-8')
    assert text == fill(text, blocks()), 'run: python docs/errors.py'


def test_explanations_are_sentences():
    shown = [entry for entry in entries() if entry.area]
    assert len(shown) > 150
    for entry in shown:
        for words in (entry.cause, entry.do):
            assert re.match(r'[A-Z`0-9]|timm ', words), words
            assert re.search(r'[.`]$', words) and '|' not in words and '\n' not in words, words


def test_messages_can_be_searched():
    """Enough of each message is fixed, so that a search for it finds it."""
    found, _ = match(collect(ROOT), list(entries()))
    for entry, error in found.items():
        fixed = re.sub(r'<[^>]*>|\[[^]]*\]', ' ', error.message)
        assert not entry.area or len(re.findall(r'\w+', fixed)) >= 2, error


def upstream() -> list[str]:
    """The rows of the table of problems of OpenMMLab."""
    section = PAGE.read_text(encoding='utf-8').partition('\n## Known problems')[2]
    return re.findall(r'^\| (?!what|-).*$', section.partition('\n## ')[0], re.MULTILINE)


def test_fixes_are_named_in_the_table_of_upstream_problems():
    named = re.findall(r'`(compat|stack)\.(\w+)`', '\n'.join(upstream()))
    assert len(named) == 4
    for module, name in named:
        assert callable(getattr({'compat': compat, 'stack': stack}[module], name))


def test_numbers_are_those_of_the_links():
    links = re.findall(r'\[[a-z ]*#(\d+)\]\(https://github\.com/\S+/(\d+)\)', '\n'.join(upstream()))
    assert len(links) >= 15
    assert all(shown == linked for shown, linked in links)


@pytest.mark.skipif(
    not installed_versions().get('mmsegmentation'), reason='the messages of stock mmsegmentation'
)
@pytest.mark.parametrize('number, name', [(3071, 'boundary'), (3831, 'weights'), (1553, 'label')])
def test_upstream_problem_is_as_the_page_says(number, name):
    from mmseg.models.losses import BoundaryLoss, CrossEntropyLoss

    score, label = torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.long)
    label[0, 0, 0] = 15 if name == 'label' else 255
    losses = dict(
        boundary=BoundaryLoss(),
        weights=CrossEntropyLoss(class_weight=[1.0, 1.0, 1.0]),
        label=CrossEntropyLoss(),
    )
    with pytest.raises((TypeError, IndexError)) as raised:
        losses[name](score, label, weight=None, ignore_index=255)
    [row] = [row for row in upstream() if f'#{number}]' in row]
    assert str(raised.value).removeprefix('BoundaryLoss.') in row
    if name == 'label':
        with pytest.raises(ValueError, match=r'label holds 15, but accepted are classes 0\.\.2'):
            BoundaryAwareLoss()(score, label)
    else:
        weight = [1.0, 1.0, 1.0] if name == 'weights' else None
        assert BoundaryAwareLoss(class_weight=weight)(score, label, ignore_index=255).isfinite()
