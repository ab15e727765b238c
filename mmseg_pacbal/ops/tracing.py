"""What ``torch.compile`` is told about functions that it cannot trace."""

from collections.abc import Callable
from typing import TypeVar

Function = TypeVar('Function', bound=Callable)


def constant_when_traced(function: Function) -> Function:
    """Have ``torch.compile`` call a function while it traces, and keep the result.

    The same as ``torch.compiler.assume_constant_result``, which imports the whole compiler only to
    set this attribute: a second for everyone who never compiles.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function
