"""Figures from a checkpoint as users make them, and one sentence for every mistake."""

import pytest
from PIL import Image

from mmseg_pacbal.apps.commands import parse_args
from mmseg_pacbal.apps.visualize import chosen_indices
from mmseg_pacbal.visualization.paper import PAGE_WIDTH
from tests.running import call_tool, mistake
from tests.visualization.tiny import write_checkpoint, write_config


@pytest.mark.parametrize('figure', ['loss', pytest.param('qualitative', marks=pytest.mark.slow)])
def test_figure_is_written(figure, tiny, tmp_path, capsys):
    out = tmp_path / 'new' / f'{figure}.png'
    call_tool('visualize', *tiny, '--figure', figure, '--indices', 0, 4, '--out', out)
    assert f'written to {out}' in capsys.readouterr().out
    picture = Image.open(out).convert('RGB')
    assert picture.width == 300 * PAGE_WIDTH
    assert picture.getcolors(maxcolors=1000) is None  # there are more


@pytest.mark.slow
def test_two_models_are_shown_side_by_side(tiny, tmp_path):
    out = tmp_path / 'both.png'
    args = (*tiny, '--figure', 'comparison', '--compare', *tiny, '--indices', 0, 4, '--out', out)
    call_tool('visualize', *args, '--names', 'baseline', 'ours')
    assert Image.open(out).width == 300 * PAGE_WIDTH


@pytest.mark.slow
def test_models_of_other_classes_are_not_compared(tiny, tmp_path, capsys):
    other = write_config(tmp_path)
    text = other.read_text().replace('num_classes=7', 'num_classes=11')
    other.write_text(text.replace('SyntheticVOCDataset', 'CamVidDataset'))
    args = ('--figure', 'comparison', '--compare', other, write_checkpoint(other))
    sentence = mistake(capsys, 'visualize', *tiny, *args, '--out', tmp_path / 'f.png')
    assert 'has the classes' in sentence
    assert 'give configs of one data set' in sentence


@pytest.mark.parametrize(
    ('suffix', 'start'),
    [('pdf', b'%PDF'), pytest.param('jpg', b'\xff\xd8\xff', marks=pytest.mark.slow)],
)
def test_suffix_chooses_the_format(suffix, start, tiny, tmp_path):
    out = tmp_path / f'weights.{suffix}'
    call_tool('visualize', tiny[0], '--figure', 'weights', '--images', '2011_000002', '--out', out)
    assert out.read_bytes().startswith(start)


def test_images_are_chosen_by_number_or_name(tiny):
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    init_default_scope('mmseg')
    dataset = DATASETS.build(Config.fromfile(tiny[0]).test_dataloader.dataset)

    def chosen(*args: str) -> list[int]:
        required = ['c', '--figure', 'weights', '--out', 'f.png']
        return list(chosen_indices(parse_args('visualize', [*required, *args]), dataset))

    assert chosen() == [0, 1, 2, 3]
    assert chosen('--indices', '3', '0') == [3, 0]
    names = ['2011_000005', '2011_000002.jpg', 'data/JPEGImages/2011_000001.jpg']
    assert chosen('--images', *names) == [4, 1, 0]
    with pytest.raises(ValueError, match=r'--indices must be 0\.\.4, but got 5'):
        chosen('--indices', '5')
    with pytest.raises(ValueError, match='--images names holiday, which is not among the 5 images'):
        chosen('--images', 'holiday')
