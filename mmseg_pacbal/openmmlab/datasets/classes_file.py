"""``classes.txt``: the names of a data set's classes and, if wanted, their colours."""

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

    @property
    def metainfo(self) -> dict:
        """Classes and palette as MMSegmentation has them; VOC's colours where there are none."""
        palette = self.colours or voc_colormap()[: len(self.names)].tolist()
        return dict(classes=self.names, palette=[list(colour) for colour in palette])

    @property
    def value_of_colour(self) -> dict[Colour, int]:
        """The class, or void, of each colour."""
        values = {colour: index for index, colour in enumerate(self.colours or ())}
        return values if self.void is None else {**values, self.void: VOID}


def read_classes(path: str | Path) -> Classes:
    """Read a ``classes.txt``.

    Each line holds a name and, if wanted, a colour as three numbers 0..255: ``traffic light
    250 170 30``. All classes have a colour or none has. A last line ``void 0 0 0`` is not a class
    but the colour of void in RGB masks.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} does not exist; write the name of a class on each line, the first one for '
            'value 0 of the masks, or set data_root=...'
        )
    entries = [_entry(path, i, line) for i, line in enumerate(read_list(path, 'class'), 1)]
    void = entries.pop()[1] if entries[-1][1] and entries[-1][0].lower() == 'void' else None
    names = tuple(name for name, _ in entries)
    colours = tuple(colour for _, colour in entries if colour)
    for number, name in enumerate(names, 1):
        if name.lower() == 'void':
            raise ValueError(
                f"line {number} of {path} names 'void', which is not a class but value {VOID} of "
                'the masks; remove the line, or make it the last one with the colour of void in '
                "RGB masks: 'void R G B'"
            )
    _check_distinct(path, names)
    _check_distinct(path, [*colours, void] if void else colours)
    if not 2 <= len(names) <= MAX_CLASSES:
        raise ValueError(
            f'{path} names {len(names)} class{"es" * (len(names) != 1)}, but accepted are 2 to '
            f'{MAX_CLASSES} (values 0..{MAX_CLASSES - 1} of the masks, {VOID} is void)'
            + '; add the class of all other pixels, such as background'
            * (len(names) < 2)
        )
    if (colours or void) and len(colours) != len(names):
        raise ValueError(
            f'{path} gives {len(colours)} of {len(names)} classes a colour; give one to all or to '
            'none'
        )
    return Classes(names, colours or None, void)


def _entry(path: Path, number: int, line: str) -> tuple[str, Colour | None]:
    """Name and colour on a line; the numbers of the colour come last."""
    words = re.split(r'[\s,]+', line)
    is_number = [word.isdecimal() for word in words]
    colour = tuple(map(int, words[-3:])) if all(is_number[-3:]) else None
    nameless = all(is_number) or (len(words) > 3 and all(is_number[:3]))
    if nameless or (max(colour) > 255 if colour else all(is_number[-2:])):
        raise ValueError(
            f"line {number} of {path} is {line!r}; write it as 'name' or 'name R G B', where a "
            'colour is three numbers 0..255'
        )
    return (' '.join(words[:-3]), colour) if colour else (line, None)


def _check_distinct(path: Path, items: Sequence) -> None:
    for item in items:
        if items.count(item) > 1:
            lines = ' and '.join(str(i) for i, other in enumerate(items, 1) if other == item)
            what = item if isinstance(item, str) else 'the colour ' + ' '.join(map(str, item))
            raise ValueError(f'{path} gives {what} twice, on lines {lines}')
