"""Tables in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table; numbers are aligned to the right by their column's head if that begins with a space.

    Examples
    --------
    >>> print(markdown_table(["name", " n"], [["a", 1]]))
    | name | n |
    |---|--:|
    | a | 1 |
    """
    rule = "|".join("--:" if name.startswith(" ") else "---" for name in head)
    lines = [" | ".join(name.strip() for name in head), *(" | ".join(map(str, row)) for row in rows)]
    first, *others = (f"| {line} |" for line in lines)
    return "\n".join([first, f"|{rule}|", *others])
