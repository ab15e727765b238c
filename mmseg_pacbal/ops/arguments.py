"""What arguments accept, in words and as a test; errors name the argument, the value, the words."""

import difflib
import inspect
import math
from collections.abc import Callable, Mapping
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
    return (
        isinstance(value, Real)
        and not isinstance(value, bool)
        and -math.inf < float(value) < math.inf
    )


def one_of(*values: object) -> Accepted:
    return Accepted(f'one of {values}', lambda value: value in values)


def int_from(least: int) -> Accepted:
    return Accepted(f'an integer, {least} or more', lambda value: is_int(value) and value >= least)


BOOL = Accepted('True or False', lambda value: isinstance(value, bool))
INT = Accepted('an integer', is_int)
POSITIVE_INT = Accepted('a positive integer', lambda value: is_int(value) and value > 0)
NON_NEGATIVE = Accepted('a finite number, 0 or more', lambda value: is_number(value) and value >= 0)
SHARE = Accepted('a number from 0 to 1', lambda value: is_number(value) and 0 <= value <= 1)
POSITIVE = Accepted('a finite number above 0', lambda value: is_number(value) and value > 0)


def check_arguments(accepted: Mapping[str, Accepted], **arguments: object) -> None:
    """Raise unless every argument passes the test that ``accepted`` has under its name.

    Raises:
        ValueError: An argument fails; the message names it, its value and what is accepted.
    """
    for name, value in arguments.items():
        if not accepted[name].test(value):
            raise ValueError(f'{name} must be {accepted[name].words}, but got {value!r}')


def reject_unknown_arguments(cls: type, unknown: Mapping[str, object]) -> None:
    """Raise unless every name is an argument of a class.

    An ``__init__`` that ends in ``**unknown: NoReturn`` passes them to this function, because
    Python's own message shows neither the value nor the names that exist. ``NoReturn`` makes type
    checkers reject any such argument.

    Args:
        cls: Its arguments are those of its ``__init__`` and, if that passes ``**kwargs`` on, of
            its bases.
        unknown: Names with the values that were given for them.

    Raises:
        TypeError: A name is not an argument.
    """
    names = _argument_names(cls)
    for name, value in unknown.items():
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            raise TypeError(
                f'{cls.__name__} has no argument {name} (got {value!r}); '
                f'{f"did you mean {close[0]}? " if close else ""}accepted are {", ".join(names)}'
            )


def none_or(accepted: Accepted) -> Accepted:
    return Accepted(
        f'None or {accepted.words}', lambda value: value is None or accepted.test(value)
    )


def check_tensor(name: str, value: object) -> None:
    """Raise TypeError unless value is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f'{name} must be a tensor, but got {type(value).__name__}')


_BY_NAME = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY


def _argument_names(cls: type) -> list[str]:
    names: dict[str, inspect.Parameter] = {}  # in order
    for base in cls.__mro__:
        if '__init__' in vars(base):
            parameters = inspect.signature(vars(base)['__init__']).parameters.values()
            names |= {p.name: p for p in parameters if p.kind in _BY_NAME}
            if not any(p.kind == p.VAR_KEYWORD for p in parameters):
                break
    return [name for name in names if name != 'self']
