"""``classes.txt``: what it says, and the sentence on each line that does not fit."""

from pathlib import Path

import pytest

from mmseg_pacbal.datasets.palette import voc_colormap
from mmseg_pacbal.openmmlab.datasets.classes_file import Classes, read_classes


def write(folder: Path, *lines: str) -> Path:
    path = folder / 'classes.txt'
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return path


def test_names_alone(tmp_path):
    classes = read_classes(write(tmp_path, 'background', 'traffic light', 'lane 2', 'Fußgänger'))
    assert classes == Classes(('background', 'traffic light', 'lane 2', 'Fußgänger'))
    assert classes.value_of_colour == {}
    assert classes.metainfo == dict(classes=classes.names, palette=voc_colormap()[:4].tolist())
    assert len(read_classes(write(tmp_path, *(f'class{i}' for i in range(255)))).names) == 255
    (tmp_path / 'classes.txt').write_bytes(b'\xef\xbb\xbfroad\r\ntree\r\n')  # as Windows writes it
    assert read_classes(tmp_path / 'classes.txt').names == ('road', 'tree')


def test_names_and_colours(tmp_path):
    lines = ('background 0 0 0', 'traffic light\t250 170 30', 'lane 2, 255, 255, 255')
    classes = read_classes(write(tmp_path, *lines, 'Void 1 2 3'))
    assert classes.names == ('background', 'traffic light', 'lane 2')
    assert classes.metainfo['palette'] == [[0, 0, 0], [250, 170, 30], [255, 255, 255]]
    values = {(0, 0, 0): 0, (250, 170, 30): 1, (255, 255, 255): 2, (1, 2, 3): 255}
    assert classes.value_of_colour == values


def test_values(tmp_path):
    """Each value is a class, void, or none: a class's index that is not listed is refused."""
    lines = ('background', 'traffic light = 255', 'lane 2 = 100, 101')
    classes = read_classes(write(tmp_path, *lines, 'void = 7'))
    assert classes.names == ('background', 'traffic light', 'lane 2')
    assert (classes.values, classes.void_values) == (((0,), (255,), (100, 101)), (7,))
    expected = {0: 0, 255: 1, 100: 2, 101: 2, 7: 255, 1: 3, 2: 3}
    assert classes.label_map == expected
    assert read_classes(write(tmp_path, 'a', 'b', 'void = 255')).label_map == {0: 0, 1: 1, 255: 255}
    assert read_classes(write(tmp_path, 'a', 'x = y')) == Classes(('a', 'x = y'))
    coloured = read_classes(write(tmp_path, 'a 0 0 0', 'b 9 9 9=1 255', 'void 1 1 1 = 128'))
    assert coloured.names == ('a', 'b')
    assert coloured.value_of_colour == {(0, 0, 0): 0, (9, 9, 9): 1, (1, 1, 1): 128}
    assert coloured.label_map == {0: 0, 1: 1, 255: 1, 128: 255}


FORM = "; write it as 'name' or 'name R G B', where a colour is three numbers 0..255"
MANY = '{path} names 300 classes, but accepted are 2 to 255 (values 0..254 of the masks, 255 is '


@pytest.mark.parametrize(
    ('lines', 'sentence'),
    [
        (['road'], '{path} names 1 class, but accepted are 2 to 255 (values 0..254 of the masks, '),
        (['road'], '255 is void); add the class of all other pixels, such as background'),
        (['road 1 1 1', 'void 0 0 0'], '{path} names 1 class, but accepted are'),
        ([f'class{i}' for i in range(300)], f'{MANY}void)'),
        ([], 'list {path} has an empty line (1); remove it'),
        (['road', '', 'tree'], 'list {path} has an empty line (2); remove it'),
        (['road', 'tree', 'road'], '{path} gives road twice, on lines 1 and 3'),
        (['road 1 2 3', 'tree 1 2 3'], '{path} gives the colour 1 2 3 twice, on lines 1 and 2'),
        (['a 1 2 3', 'b 3 2 1', 'void 1 2 3'], 'gives the colour 1 2 3 twice, on lines 1 and 3'),
        (
            ['road 1 2 3', 'tree'],
            '{path} gives 1 of 2 classes a colour; give one to all or',
        ),
        (['a', 'b', 'void 0 0 0'], '{path} gives 0 of 2 classes a colour'),
        (['road 1 2', 'tree 1 2'], "line 1 of {path} is 'road 1 2'" + FORM),
        (['road 1 2 256', 'tree 1 2 3'], "line 1 of {path} is 'road 1 2 256'" + FORM),
        (['road 1 2 3', '64 128 64 tree'], "line 2 of {path} is '64 128 64 tree'" + FORM),
        (['road 1 2 3', '64 128 64'], "line 2 of {path} is '64 128 64'" + FORM),
        (
            ['road', 'void', 'a'],
            "line 2 of {path} names 'void', which is not a class but value",
        ),
        (['a', 'b = 0'], '{path} gives the value 0 to a and to b; write the values of each after'),
        (['a = 3 3', 'b'], '{path} gives the value 3 to a and to a; write'),
        (['a 1 1 1', 'b 2 2 2 = 255', 'void 3 3 3'], 'gives the value 255 to b and to void'),
        (['a', 'b = 256'], "line 2 of {path} is 'b = 256'" + FORM),
        (['a', '1 2 3 = 4'], "line 2 of {path} is '1 2 3 = 4'" + FORM),
        (['a', 'void = 3', 'b'], "line 2 of {path} names 'void', which is not a class but value"),
        (['void 0 0 0', 'road 1 2 3', 'tree 3 2 1'], "line 1 of {path} names 'void', which is not"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_sentence(lines, sentence, tmp_path):
    path = write(tmp_path, *lines)
    with pytest.raises(ValueError) as error:
        read_classes(path)
    assert sentence.format(path=path) in str(error.value)
    assert '\n' not in str(error.value)


def test_missing_and_not_text(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'classes\.txt does not exist; write the name of'):
        read_classes(tmp_path / 'classes.txt')
    (tmp_path / 'classes.txt').write_bytes(b'\xff\xd8\xff')
    with pytest.raises(ValueError, match='is not text; write one class name per line'):
        read_classes(tmp_path / 'classes.txt')
