"""What arguments accept, in words and as a test; errors name the argument, the value, the words."""

import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, NamedTuple

from torch import Tensor


class Accepted(NamedTuple):
    """What an argument must be, as ``'True or False'``, and whether a value is that."""

    words: str
    test: Callable[[Any], bool]


def is_int(value: object) -> bool:
    """Whether value is an integer, Python's or NumPy's; True and False do not count as integers."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether value is a finite real number, Python's or NumPy's; True and False do not count."""
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    return is_real and -math.inf < float(value) < math.inf  # type: ignore[arg-type]


def one_of(*values: object) -> Accepted:
    return Accepted(f'one of {values}', lambda value: value in values)


def none_or(accepted: Accepted) -> Accepted:
    return Accepted(f'None or {accepted.words}', lambda v: v is None or accepted.test(v))


def int_from(least: int) -> Accepted:
    return Accepted(f'an integer, {least} or more', lambda value: is_int(value) and value >= least)


# What others call our arguments, where neither spelling nor words tell.
OTHER_NAMES = dict(
    dilation='rates',
    dilations='rates',
    ignore_label='ignore_index',
    ignore_value='ignore_index',
    void_label='ignore_index',
    void_index='ignore_index',
    weights='class_weight',
    pos_weight='class_weight',
    act_cfg='activation',
    act_layer='activation',
    fusion='merge',
    std='sigma',
    stride='downsample',
    threshold='tolerance',
)

BOOL = Accepted('True or False', lambda value: isinstance(value, bool))
INT = Accepted('an integer', is_int)
POSITIVE_INT = Accepted('a positive integer', lambda value: is_int(value) and value > 0)
NON_NEGATIVE = Accepted('a finite number, 0 or more', lambda value: is_number(value) and value >= 0)
POSITIVE = Accepted('a finite number above 0', lambda value: is_number(value) and value > 0)
SHARE = Accepted('a number from 0 to 1', lambda value: is_number(value) and 0 <= value <= 1)


def check_arguments(accepted: Mapping[str, Accepted], **arguments: object) -> None:
    """Raise ValueError unless each argument passes the test that ``accepted`` has for its name."""
    for name, value in arguments.items():
        if not accepted[name].test(value):
            raise ValueError(f'{name} must be {accepted[name].words}, but got {value!r}')


def check_tensor(name: str, value: object) -> None:
    """Raise TypeError unless value is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f'{name} must be a tensor, but got {type(value).__name__}')


def reject_unknown_arguments(cls: type, unknown: Mapping[str, object]) -> None:
    """Raise TypeError for names, with their values, that are not arguments of a class.

    An ``__init__`` that ends in ``**unknown: NoReturn`` passes them to this function, because
    Python's own message shows neither the value nor the names that exist. ``NoReturn`` makes type
    checkers reject any such argument. Arguments of the bases count where ``**kwargs`` goes there.
    """
    names: dict[str, None] = {}  # in order
    for base in (base for base in cls.__mro__ if '__init__' in vars(base)):
        _, *parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
        names |= {p.name: None for p in parameters if not p.kind.name.startswith('VAR')}
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    for name, value in unknown.items():
        if name not in names:
            alike = _alike(name, names)
            hint = f'did you mean {" or ".join(alike)}? ' if alike else ''
            raise TypeError(
                f'{cls.__name__} has no argument {name} (got {value!r}); '
                f'{hint}accepted are {", ".join(names)}'
            )


def _alike(name: str, names: Iterable[str]) -> list[str]:
    """Those of some names that a name may mean: by use, by spelling, by the words in it."""
    names = list(names)
    if (known := OTHER_NAMES.get(name, '')) in names:
        return [known]
    words = [n for n in names if f'{n}_'.startswith(f'{name}_') or n.endswith(f'_{name}')]
    words += [n for n in names if name.startswith(f'{n}_') or name.endswith(f'_{n}')]
    return list(dict.fromkeys([*difflib.get_close_matches(name, names, n=1), *words]))
