"""What changed between the config that a checkpoint carries and the one that runs."""

import ast
from collections.abc import Iterator


def changed_settings(saved: str, now: str) -> list[str]:
    """Settings in which two printed configs differ, such as ``max_iters: 100 -> 200``.

    Args:
        saved: The config that a checkpoint carries; it is parsed, never executed. What is no
            config has nothing to compare.
        now: The config that runs.
    """
    try:
        old, new = (_settings(text) for text in (saved, now))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deep
        return []
    differ = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [f'{n}: {old.get(n, "not set")} -> {new.get(n, "not set")}' for n in differ]


def _settings(text: str) -> dict[str, str]:
    """Every innermost setting of a printed config, by its path."""
    found: dict[str, str] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign):
            found.update(_innermost(statement.value, ast.unparse(statement.targets[0])))
    return found


def _innermost(node: ast.expr, path: str) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Call(func=ast.Name(id='dict'), keywords=[_, *_] as inner):
            for keyword in inner:
                yield from _innermost(keyword.value, f'{path}.{keyword.arg}')
        case ast.Dict(keys=[_, *_] as keys, values=values):
            for key, value in zip(keys, values, strict=True):
                yield from _innermost(value, f'{path}.{ast.unparse(key) if key else "**"}')
        case ast.List(elts=items) | ast.Tuple(elts=items) if any(map(_nested, items)):
            for index, item in enumerate(items):
                yield from _innermost(item, f'{path}.{index}')
        case _:
            yield path, ast.unparse(node)


def _nested(node: ast.expr) -> bool:
    return isinstance(node, (ast.Call, ast.Dict, ast.List))
