"""A Griffe extension: the Sphinx markup of our docstrings as the Markdown that the site reads."""

import re
import textwrap

from griffe import Extension, Object


class SphinxMarkup(Extension):
    """Rewrites the docstring of every object before it is parsed."""

    def on_instance(self, *, obj: Object, **_: object) -> None:
        if obj.docstring:
            obj.docstring.value = to_markdown(obj.docstring.value)


def to_markdown(text: str) -> str:
    """Roles become code, and formulas what arithmatex reads.

    ``:func:`~.ops.name``` -> ```name``` and ``:math:`x``` -> ``$x$``; the directive ``.. math::``,
    with the lines that are indented below it, becomes a block between ``$$``.
    """
    text = re.sub(r':math:`([^`]+)`', r'$\1$', text)
    text = re.sub(
        r':(?:attr|class|data|func|meth|mod|obj):`[~.]*([^`]+)`',
        lambda m: f'`{m[1].removeprefix("mmseg_pacbal.")}`',
        text,
    )
    block = r'^( *)\.\. math::(.*\n(?:\1 +.*\n)*)'
    return re.sub(block, _block, text + '\n', flags=re.MULTILINE).rstrip('\n')


def _block(found: re.Match) -> str:
    indent, formula = found.groups()
    lines = [line.strip() for line in textwrap.dedent(formula).splitlines() if line.strip()]
    return f'{indent}$$\n{indent}{" ".join(lines)}\n{indent}$$\n'
