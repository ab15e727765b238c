"""``classes.txt``: the names of a data set's classes, their colours and values in masks."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from ...datasets.palette import VOID, voc_colormap
from ..data_checks.files import read_list

MAX_CLASSES = VOID  # 0..254, since labels are bytes

Colour: TypeAlias = tuple[int, ...]  # RGB, 0..255


class Classes(NamedTuple):
    """The content of a ``classes.txt``; what it does not give is None."""

    names: tuple[str, ...]  # in the order of their indices
    colours: tuple[Colour, ...] | None = None
    void: Colour | None = None
    values: tuple[tuple[int, ...], ...] | None = None  # of each class in the masks' files
    void_values: tuple[int, ...] = ()

    @property
    def metainfo(self) -> dict:
        """Classes and palette as MMSegmentation has them; VOC's colours where there are none."""
        palette = self.colours or voc_colormap()[: len(self.names)].tolist()
        return dict(classes=self.names, palette=[list(colour) for colour in palette])

    @property
    def value_of_colour(self) -> dict[Colour, int]:
        """The value in masks, one of several, of each colour of a class or of void."""
        colours = dict(enumerate(self.colours or ()))
        values = {c: self.values[i][0] if self.values else i for i, c in colours.items()}
        return values if self.void is None else {**values, self.void: (*self.void_values, VOID)[0]}

    @property
    def label_map(self) -> dict[int, int] | None:
        """The label of each value in the files; that of a class's index which marks no class is
        the number of classes, so that checks refuse it. None if no values are given.
        """
        if self.values is None:
            return None
        labels = dict.fromkeys(range(len(self.names)), len(self.names))
        labels |= {value: i for i, values in enumerate(self.values) for value in values}
        return labels | dict.fromkeys(self.void_values, VOID)


class _Entry(NamedTuple):
    """What a line holds."""

    name: str
    colour: Colour | None = None
    values: tuple[int, ...] = ()


def read_classes(path: str | Path) -> Classes:
    """Read a ``classes.txt``.

    Each line holds a name and, if wanted, a colour as three numbers 0..255: ``traffic light
    250 170 30``. All classes have a colour or none has. After an equals sign stand the values that
    mark the class in masks, if they are not its index: ``object = 255``, ``object 255 0 0 = 1
    255``. A last line ``void 0 0 0``, ``void = 128`` or both is not a class but says what is void.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} does not exist; write the name of a class on each line, the first one for '
            'value 0 of the masks, or set data_root=...'
        )
    entries = [_entry(path, i, line) for i, line in enumerate(read_list(path, 'class'), 1)]
    last = entries[-1]
    is_void = last.name.lower() == 'void' and (last.colour or last.values)
    void = entries.pop() if is_void else _Entry('void')
    names = tuple(entry.name for entry in entries)
    colours = tuple(entry.colour for entry in entries if entry.colour)
    for number, name in enumerate(names, 1):
        if name.lower() == 'void':
            raise ValueError(
                f"line {number} of {path} names 'void', which is not a class but value {VOID} of "
                'the masks; remove the line, or make it the last one with the colour of void in '
                "RGB masks: 'void R G B'"
            )
    _check_distinct(path, names)
    _check_distinct(path, [*colours, void.colour] if void.colour else colours)
    if not 2 <= len(names) <= MAX_CLASSES:
        raise ValueError(
            f'{path} names {len(names)} class{"es" * (len(names) != 1)}, but accepted are 2 to '
            f'{MAX_CLASSES} (values 0..{MAX_CLASSES - 1} of the masks, {VOID} is void)'
            + '; add the class of all other pixels, such as background'
            * (len(names) < 2)
        )
    if (colours or void.colour) and len(colours) != len(names):
        raise ValueError(
            f'{path} gives {len(colours)} of {len(names)} classes a colour; give one to all or to '
            'none'
        )
    return Classes(names, colours or None, void.colour, _values(path, entries, void), void.values)


def _values(
    path: Path, entries: Sequence[_Entry], void: _Entry
) -> tuple[tuple[int, ...], ...] | None:
    """The values of each class, its index where it has none; None if no line has any."""
    if not any(entry.values for entry in (*entries, void)):
        return None
    values = tuple(entry.values or (index,) for index, entry in enumerate(entries))
    of_void = void.values or ((VOID,) if void.colour else ())
    marked: dict[int, str] = {}
    names = [*(entry.name for entry in entries), 'void']
    for name, several in zip(names, [*values, of_void], strict=True):
        for value in several:
            if value in marked:
                raise ValueError(
                    f'{path} gives the value {value} to {marked[value]} and to {name}; write the '
                    f"values of each after '=' (without, a class has its index, and void {VOID})"
                )
            marked[value] = name
    return values


def _entry(path: Path, number: int, line: str) -> _Entry:
    """What is on a line; the numbers of the colour come after the name, then values."""
    whole, values = line, tuple[int, ...]()
    before, _, after = line.rpartition('=')
    if before.strip() and re.fullmatch(r'[\s,]*\d[\s,\d]*', after):
        line, values = before.strip(), tuple(map(int, re.findall(r'\d+', after)))
    words = re.split(r'[\s,]+', line)
    is_number = [word.isdecimal() for word in words]
    colour = tuple(map(int, words[-3:])) if all(is_number[-3:]) else None
    nameless = all(is_number) or (len(words) > 3 and all(is_number[:3]))
    if (
        nameless
        or (max(colour) > 255 if colour else all(is_number[-2:]))
        or max(values, default=0) > 255
    ):
        raise ValueError(
            f"line {number} of {path} is {whole!r}; write it as 'name' or 'name R G B', where a "
            "colour is three numbers 0..255, with its values 0..255 in masks after '=' if they "
            'are not its index'
        )
    return _Entry(' '.join(words[:-3]) if colour else line, colour, values)


def _check_distinct(path: Path, items: Sequence) -> None:
    for item in items:
        if items.count(item) > 1:
            lines = ' and '.join(str(i) for i, other in enumerate(items, 1) if other == item)
            what = item if isinstance(item, str) else 'the colour ' + ' '.join(map(str, item))
            raise ValueError(f'{path} gives {what} twice, on lines {lines}')
