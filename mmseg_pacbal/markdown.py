"""Markdown: tables, and pages with generated blocks."""


def to_markdown(head: list[str], rows: list[list[str]], left: int) -> str:
    """A table whose columns are right-aligned after the first ``left``."""
    first, *others = ['| ' + ' | '.join(cells) + ' |' for cells in [head, *rows]]
    rule = '|' + '---|' * left + '---:|' * (len(head) - left)
    return '\n'.join([first, rule, *others])


def fill(text: str, blocks: dict[str, str]) -> str:
    """The page with each block between a comment that names it and the comment ``end``.

    Raises:
        ValueError: The page has no place for a block.
    """
    for name, block in blocks.items():
        before, opened, rest = text.partition(f'<!-- {name} -->\n')
        _, closed, after = rest.partition('<!-- end -->')
        count = text.count(opened) if closed else 0
        if count != 1:
            raise ValueError(f'the page must hold <!-- {name} --> once, but holds it {count} times')
        text = f'{before}{opened}{block}\n{closed}{after}'
    return text
