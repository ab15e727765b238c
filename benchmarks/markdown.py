"""The marked places of a page that hold what is written by a program."""

import re


def fill(text: str, blocks: dict[str, str]) -> str:
    """The page with each block between a comment that names it and the comment ``end``.

    Raises:
        ValueError: The page has no place for a block.
    """
    for name, block in blocks.items():
        pattern = rf'(<!-- {name} -->\n).*?(\n<!-- end -->)'
        text, found = re.subn(
            pattern, lambda m, block=block: m[1] + block + m[2], text, flags=re.DOTALL
        )
        if found != 1:
            raise ValueError(f'the page must hold <!-- {name} --> once, but holds it {found} times')
    return text
