"""The tutorial: its page is the notebook, and the notebook runs and learns."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.environments import ROOT

TUTORIAL = runpy.run_path(str(ROOT / 'docs' / 'tutorial.py'))
RESULT = re.compile(r'\n\n(```text\n.*?\n```|!\[[^\]]*\]\(images/tutorial/[^)]+\))', re.DOTALL)
MODELS = ('without_bal', 'with_bal')


@pytest.fixture(autouse=True)
def this_checkout(monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(ROOT))


def printed(cell: dict) -> str:
    return ''.join(result for result in TUTORIAL['results'](cell) if isinstance(result, str))


def test_notebook_is_stored_without_results():
    code = [cell for cell in TUTORIAL['read_cells']() if cell['cell_type'] == 'code']
    assert len(code) >= 15
    full = [cell['id'] for cell in code if cell['outputs'] or cell['execution_count'] is not None]
    assert full == []  # clear all outputs before you save


def test_page_has_the_text_and_code_of_the_notebook():
    expected, pictures = TUTORIAL['page'](TUTORIAL['read_cells']())
    assert pictures == {}
    written = TUTORIAL['PAGE'].read_text(encoding='utf-8')
    assert RESULT.sub('', written) == expected  # else: python docs/tutorial.py
    assert len(RESULT.findall(written)) >= 12


def test_pictures_of_the_page_are_small_and_all_used():
    folder = TUTORIAL['DOCS'] / TUTORIAL['PICTURES']
    named = re.findall(r'\(images/tutorial/([^)]+)\)', TUTORIAL['PAGE'].read_text('utf-8'))
    assert len(named) >= 5
    assert sorted(named) == sorted(path.name for path in folder.iterdir())
    assert max(path.stat().st_size for path in folder.iterdir()) < 150_000


def test_cells_become_blocks():
    shell = dict(
        id='run',
        cell_type='code',
        source=['%%bash -e\n', 'python a.py'],
        outputs=[dict(name='stdout', text=['  a\n']), dict(name='stderr', text='b\n')],
    )
    drawn = dict(data={'image/png': 'UE5H'})
    plot = dict(
        id='plot',
        cell_type='code',
        source='%%capture\nplot()',
        outputs=[drawn, drawn],
        metadata=dict(alt='A plot'),
    )
    config = dict(id='c', cell_type='code', source='%%writefile c.py\nx = 1', outputs=[])
    text = dict(id='text', cell_type='markdown', source='[a](../docs/data.md) [b](../README.md)')
    page, pictures = TUTORIAL['page']([text, shell, config, plot])
    assert page.split('\n\n') == [
        '[a](data.md) [b](../README.md)',
        TUTORIAL['NOTE'],
        '```bash\npython a.py\n```',
        '```text\n  a\nb\n```',
        '```python title="c.py"\nx = 1\n```',
        '```python\nplot()\n```',
        '![A plot](images/tutorial/plot.png)',
        '![A plot](images/tutorial/plot-2.png)\n',
    ]
    assert pictures == {'plot.png': b'PNG', 'plot-2.png': b'PNG'}


def need(*packages: str) -> None:
    for package in packages:
        pytest.importorskip(package, reason='needs mmseg-pacbal[notebook,onnx]')


@pytest.mark.slow
def test_a_command_that_fails_is_an_error(tmp_path):
    need('nbclient', 'nbformat', 'ipykernel')
    import nbformat
    from nbclient.exceptions import CellExecutionError

    cells = [nbformat.v4.new_code_cell('%%bash -e\nfalse\ntrue')]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / 'fails.ipynb')
    with pytest.raises(CellExecutionError, match='returned non-zero exit status 1'):
        TUTORIAL['run'](tmp_path, tmp_path / 'fails.ipynb')


@pytest.mark.long
def test_tutorial_runs_and_learns(tmp_path):
    need('nbclient', 'nbformat', 'ipykernel', 'onnx', 'onnxscript', 'onnxruntime')
    cells = {cell['id']: cell for cell in TUTORIAL['run'](tmp_path)}
    (work,) = tmp_path.glob('tutorial_*')

    assert re.findall(r'(\d+) images, (\d+) with', printed(cells['check'])) == [
        ('64', '0'),
        ('24', '0'),
    ]
    assert len(list((work / 'weights').glob('*.png'))) == 2
    for name in MODELS:
        check_training(work, name)
    assert len(set(re.findall(r'\d+\.\d', printed(cells['scores'])))) >= 5  # two models, not one
    assert all(name in (work / 'errors' / 'regions.md').read_text() for name in MODELS)

    masks = sorted((work / 'labelled' / 'masks').glob('*.png'))
    assert [path.stem for path in masks] == ['00', '01', '02', '03']
    labels = np.stack([np.array(Image.open(path)) for path in masks])
    assert labels.shape == (4, 96, 128)
    assert 2 <= len(np.unique(labels)) <= 7
    assert labels.max() < 7

    assert printed(cells['export']).count('logits differ by') == 2  # it ends with an error if far
    ((same,),) = [re.findall(r'at ([\d.]+)% of the pixels', printed(cells['onnx']))]
    assert float(same) >= 99  # the two read JPEG by the same library, if perhaps not the same build
    for name in ('weights-picture', 'curves', 'errors-picture', 'pictures', 'predict-picture'):
        assert any(isinstance(result, bytes) for result in TUTORIAL['results'](cells[name]))


def check_training(work: Path, name: str) -> None:
    """The loss falls, and the model finds more than twice what "background everywhere" would."""
    (log,) = (work / 'work_dirs' / name).glob('*/vis_data/scalars.json')
    records = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [record['loss'] for record in records if 'loss' in record]
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])
    labels = [np.array(Image.open(p)) for p in (work / 'my_data/labels/val').glob('*.png')]
    background = np.mean([label == 0 for label in labels])  # its IoU; that of 6 other classes is 0
    assert records[-1]['mIoU'] > 2 * 100 * background / 7
