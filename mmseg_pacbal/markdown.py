"""Markdown tables."""


def to_markdown(head: list[str], rows: list[list[str]], left: int) -> str:
    """A table whose columns are right-aligned after the first ``left``."""
    first, *others = ['| ' + ' | '.join(cells) + ' |' for cells in [head, *rows]]
    rule = '|' + '---|' * left + '---:|' * (len(head) - left)
    return '\n'.join([first, rule, *others])
