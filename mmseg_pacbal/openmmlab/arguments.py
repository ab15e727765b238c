"""Arguments as configs give them: names there are not, and configs of parts."""

import difflib
import functools
import inspect
from typing import Any

from mmengine.registry import Registry

from ..ops.arguments import Accepted

_BY_NAME = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY


def explains_unknown_arguments(cls: type[Any]) -> type[Any]:
    """Class decorator: a misspelt argument is answered with its value and the names there are.

    Python's own message has neither, and blames the base class that got what was left over.
    """
    init, names = cls.__init__, _argument_names(cls)

    @functools.wraps(init)
    def __init__(self, *args: object, **kwargs: object) -> None:  # noqa: N807
        for name in kwargs.keys() - set(names):
            close = difflib.get_close_matches(name, names, n=1)
            raise TypeError(
                f'{cls.__name__} has no argument {name} (got {kwargs[name]!r}); '
                f'{f"did you mean {close[0]}? " if close else ""}accepted are {", ".join(names)}'
            )
        init(self, *args, **kwargs)

    cls.__init__ = __init__
    return cls


def config_of(part: str, example: str, registry: Registry) -> Accepted:
    """A dict whose type is a class, or the name of one in registry; ``example`` is such a name."""

    def test(value: object) -> bool:
        kind = value.get('type') if isinstance(value, dict) else None
        return isinstance(kind, type) or (isinstance(kind, str) and registry.get(kind) is not None)

    words = f"a dict with the type of a registered {part}, such as dict(type='{example}')"
    return Accepted(words, test)


def none_or(accepted: Accepted) -> Accepted:
    return Accepted(
        f'None or {accepted.words}', lambda value: value is None or accepted.test(value)
    )


def _argument_names(cls: type) -> list[str]:
    """Names that a class takes, those of the bases that it hands its ``**kwargs`` included."""
    names: dict[str, inspect.Parameter] = {}  # in order
    for base in cls.__mro__:
        if '__init__' in vars(base):
            parameters = inspect.signature(vars(base)['__init__']).parameters.values()
            names |= {p.name: p for p in parameters if p.kind in _BY_NAME}
            if not any(p.kind == p.VAR_KEYWORD for p in parameters):
                break
    return [name for name in names if name != 'self']
