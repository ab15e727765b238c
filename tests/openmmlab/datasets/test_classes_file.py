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
    assert classes.metainfo['classes'] == classes.names
    assert classes.metainfo['palette'] == voc_colormap()[:4].tolist()


def test_names_and_colours(tmp_path):
    lines = ('background 0 0 0', 'traffic light\t250 170 30', 'lane 2, 255, 255, 255')
    classes = read_classes(write(tmp_path, *lines, 'Void 1 2 3'))
    assert classes.names == ('background', 'traffic light', 'lane 2')
    assert classes.metainfo['palette'] == [[0, 0, 0], [250, 170, 30], [255, 255, 255]]
    assert classes.value_of_colour == {
        (0, 0, 0): 0,
        (250, 170, 30): 1,
        (255, 255, 255): 2,
        (1, 2, 3): 255,
    }


def test_as_windows_writes_it(tmp_path):
    path = tmp_path / 'classes.txt'
    path.write_bytes(b'\xef\xbb\xbfroad\r\ntree\r\n')
    assert read_classes(path).names == ('road', 'tree')


def test_as_many_classes_as_a_byte_holds_beside_void(tmp_path):
    assert len(read_classes(write(tmp_path, *(f'class{i}' for i in range(255)))).names) == 255


SENTENCES = {
    'one class': (['road'], '{path} names 1 class, but accepted are 2 to 255 (values 0..254 of'),
    'one class and void': (['road 1 1 1', 'void 0 0 0'], '{path} names 1 class, but accepted are'),
    '300 classes': (
        [f'class{i}' for i in range(300)],
        '{path} names 300 classes, but accepted are 2 to 255 (values 0..254 of the masks, 255 is '
        'void)',
    ),
    'empty': ([], 'list {path} has an empty line (1); remove it'),
    'empty line': (['road', '', 'tree'], 'list {path} has an empty line (2); remove it'),
    'a name twice': (['road', 'tree', 'road'], '{path} gives road twice, on lines 1 and 3'),
    'a colour twice': (
        ['road 1 2 3', 'tree 1 2 3'],
        '{path} gives the colour 1 2 3 twice, on lines 1 and 2',
    ),
    'a colour of void twice': (
        ['road 1 2 3', 'tree 3 2 1', 'void 1 2 3'],
        '{path} gives the colour 1 2 3 twice, on lines 1 and 3',
    ),
    'some colours': (['road 1 2 3', 'tree'], '{path} gives 1 of 2 classes a colour; give one to'),
    'only the colour of void': (['a', 'b', 'void 0 0 0'], '{path} gives 0 of 2 classes a colour'),
    'two numbers': (
        ['road 1 2', 'tree 1 2'],
        "line 1 of {path} is 'road 1 2', but a colour is three numbers 0..255; write it as 'name R",
    ),
    'a number too large': (
        ['road 1 2 256', 'tree 1 2 3'],
        "line 1 of {path} is 'road 1 2 256', b",
    ),
    'numbers first': (
        ['road 1 2 3', '64 128 64 tree'],
        "line 2 of {path} is '64 128 64 tree', but a line starts with the name of a class; write",
    ),
    'no name': (['road 1 2 3', '64 128 64'], "line 2 of {path} is '64 128 64', but a line starts"),
    'void as a class': (
        ['road', 'void', 'tree'],
        "line 2 of {path} names 'void', which is not a class but value 255 of the masks; remove",
    ),
    'void first': (['void 0 0 0', 'road 1 2 3', 'tree 3 2 1'], "line 1 of {path} names 'void', wh"),
}


@pytest.mark.parametrize('kind', SENTENCES)
def test_sentence(kind, tmp_path):
    lines, sentence = SENTENCES[kind]
    path = write(tmp_path, *lines)
    with pytest.raises(ValueError) as error:
        read_classes(path)
    assert str(error.value).startswith(sentence.format(path=path))
    assert '\n' not in str(error.value)


def test_one_class_is_told_what_to_add(tmp_path):
    with pytest.raises(ValueError, match=r'add the class of all other pixels, such as background$'):
        read_classes(write(tmp_path, 'road'))


def test_missing_and_not_text(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'classes\.txt does not exist; write the name of'):
        read_classes(tmp_path / 'classes.txt')
    (tmp_path / 'classes.txt').write_bytes(b'\xff\xd8\xff')
    with pytest.raises(ValueError, match='is not text; write one class name per line'):
        read_classes(tmp_path / 'classes.txt')
