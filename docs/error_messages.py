"""Collects the errors that the package and its tools raise, with what stands for each value."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDERS = 'mmseg_pacbal', 'tools'
# Calls that tell a user what is wrong without a raise, and what is printed before their message.
CALLS = {'parser.error': 'error', 'warnings.warn': 'UserWarning', 'sys.exit': ''}
Scope = dict[str, ast.expr]  # what a name stands for, where that is text


class Raised(NamedTuple):
    """An error: where it is raised, its type, and its message with <name> for each value."""

    file: str
    line: int
    error: str
    message: str

    @property
    def shown(self) -> str:
        return f'{self.error}: {self.message}' if self.error else self.message


def collect(root: Path) -> list[Raised]:
    """Every error of the package and the tools, each once, in the order of files and lines."""
    paths = [path for folder in FOLDERS for path in sorted((root / folder).rglob('*.py'))]
    trees = {path: ast.parse(path.read_text(encoding='utf-8')) for path in paths}
    constants = _constants(list(trees.values()))
    found: dict[tuple[str, str, str], Raised] = {}
    for path, tree in trees.items():
        file = path.relative_to(root).as_posix()
        for line, error, message in sorted(_errors(tree, constants)):
            found.setdefault((file, error, message), Raised(file, line, error, message))
    return list(found.values())


def _constants(trees: list[ast.Module]) -> Scope:
    """Constants in capitals that stand for one text or number wherever they are defined."""
    values: dict[str, list[ast.expr]] = {}
    for tree in trees:
        for name, value in _assigned(tree.body):
            if name.isupper():
                values.setdefault(name, []).append(value)
    alike = {name: v[0] for name, v in values.items() if len({*map(ast.unparse, v)}) == 1}
    return {name: v for name, v in alike.items() if isinstance(v, (ast.Constant, ast.JoinedStr))}


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for statement in body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
            if isinstance(target, ast.Name):
                yield target.id, statement.value


def _is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        return _is_text(node.body) or _is_text(node.orelse)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add) and _is_text(node.left) and _is_text(node.right)
    constant = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return constant or isinstance(node, ast.JoinedStr)


def _errors(tree: ast.AST, scope: Scope) -> Iterator[tuple[int, str, str]]:
    """Line, type and message of every error in a tree."""
    for node in ast.iter_child_nodes(tree):
        inner = scope
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inner = {**scope, **_local_texts(node)}
        elif isinstance(node, ast.Raise) and node.exc is not None:
            called = node.exc if isinstance(node.exc, ast.Call) else None
            error = ast.unparse(called.func if called else node.exc).rpartition('.')[2]
            yield node.lineno, error, message(called.args if called else [], scope)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in CALLS:
            yield node.lineno, CALLS[ast.unparse(node.func)], message(node.args, scope)
        yield from ((n, '', text(p, scope)) for n, p in _problems(node))
        yield from _errors(node, inner)


def _problems(node: ast.AST) -> Iterator[tuple[int, ast.expr]]:
    """Messages that are put into a list named ``problems``, to be raised or printed together."""
    value: ast.expr | None = None
    if isinstance(node, ast.Call) and ast.unparse(node.func) == 'problems.append':
        value = node.args[0]
    elif isinstance(node, (ast.Assign, ast.AugAssign)):
        target = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
        value = node.value if ast.unparse(target) == 'problems' else None
    parts = [value.elt] if isinstance(value, ast.ListComp) else [value]
    yield from ((p.lineno, p) for p in parts if isinstance(p, ast.JoinedStr))


def _local_texts(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Scope:
    """Variables of a function that are assigned once, and a text."""
    values: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.stmt):
            for name, value in _assigned([node]):
                values.setdefault(name, []).append(value)
    return {name: v[0] for name, v in values.items() if len(v) == 1 and _is_text(v[0])}


def message(args: list[ast.expr], scope: Scope) -> str:
    return text(args[0], scope) if args else ''


def text(node: ast.expr, scope: Scope) -> str:
    """An expression as users see it: ``<name>`` for a value, ``[...]`` for what may be absent."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return ''.join(text(part, scope) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return text(node.value, scope)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and _is_text(node.left):
        return text(node.left, scope) + text(node.right, scope)
    if isinstance(node, ast.IfExp):
        parts = [part for part in (text(node.body, scope), text(node.orelse, scope)) if part]
        return f'[{parts[0]}]' if len(parts) == 1 else f'{{{" | ".join(parts)}}}'
    if isinstance(node, ast.Name) and node.id in scope:
        return text(scope[node.id], {k: v for k, v in scope.items() if k != node.id})
    return f'<{name_of(node)}>'


def name_of(node: ast.expr) -> str:
    """A word or two for a value: the variable from which it is made, or ``number``."""
    match node:
        case ast.Name(id='self' | 'cls'):
            return 'class'
        case ast.Name():
            return node.id.strip('_')
        case ast.Attribute(value=ast.Name(id='self' | 'args')):
            return node.attr
        case ast.Attribute(attr='__name__' | 'name' | 'strerror' | 'words'):
            return name_of(node.value)
        case ast.Attribute():
            return f'{name_of(node.value)}.{node.attr}'
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return key
        case ast.Subscript(value=value):
            return name_of(value)
        case ast.Tuple():
            return 'shape'
        case ast.Call():
            return _name_of_call(node)
        case ast.GeneratorExp(generators=[first, *_]) | ast.ListComp(generators=[first, *_]):
            return name_of(first.iter)
        case ast.IfExp(body=body):
            return name_of(body)
        case ast.BoolOp(values=[*_, last]):
            return name_of(last)
        case ast.BinOp(op=ast.Div(), right=last):  # of a path
            return name_of(last)
        case ast.BinOp() | ast.UnaryOp() if 'len(' in ast.unparse(node):
            return 'number'
        case ast.BinOp(left=left) if 'index(' in ast.unparse(node):
            return name_of(left)
    return ast.unparse(node)


def _name_of_call(node: ast.Call) -> str:
    match node:
        case ast.Call(func=ast.Name(id='len')):
            return 'number'
        case ast.Call(func=ast.Attribute(attr='index' | 'count_nonzero')):
            return 'number'
        case ast.Call(func=ast.Attribute(attr='join'), args=[first, *_]):
            return name_of(first)
        case ast.Call(func=ast.Name(id='map'), args=[_, first]):
            return name_of(first)
        case ast.Call(func=ast.Name(), args=[first, *_]):
            return name_of(first)
        case ast.Call(func=ast.Attribute(value=owner)):
            return name_of(owner)
    return name_of(node.func)
