"""Lines put together from cells, for screens of any width.

The rule: a cell is shown whole or not at all, so that no number ever loses its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final

from rich.text import Text

WIDEST: Final = 30
"""Columns of a table begin at most so far apart."""


def fit(cells: Sequence[Text], width: int, apart: int = 2) -> Text:
    """The first cells that fit together, `apart` columns between them."""
    line = Text(no_wrap=True)
    for cell in cells:
        gap = apart if len(line) else 0
        if len(line) + gap + len(cell) > width:
            break
        line.append(" " * gap).append_text(cell)
    return line


def fit_words(words: str, width: int) -> Text:
    """The first words that fit; an ellipsis where there were more."""
    cells = [Text(word) for word in words.split()]
    line = fit(cells, width, 1)
    if len(line.plain.split()) == len(cells):
        return line
    line = fit(cells, width - 2, 1)
    return line.append(" …") if line.plain else line


def named(name: str, value: str, style: str = "") -> Text:
    """A cell of a name and what it is called for."""
    return Text.assemble((f"{name} ", "dim"), (value, style))


def table(columns: Sequence[Sequence[tuple[str, str, str]]], width: int) -> list[Text]:
    """Columns of (name, value, style) side by side as lines, the values one below the other: the first columns that fit, evenly
    apart where they can be, so that they stay where they are when a value gets longer."""
    names = [max(len(name) for name, *_ in column) for column in columns]
    sizes = [most + 1 + max(len(value) for _, value, _ in column) for most, column in zip(names, columns, strict=True)]
    while sizes and 1 + sum(sizes) + 2 * (len(sizes) - 1) > width:
        sizes.pop()
    if not sizes:
        return []
    even = min(WIDEST, (width - 1) // len(sizes))
    lines = []
    for row in range(max(map(len, columns))):
        line = Text(" ", no_wrap=True)
        for column, most, size in zip(columns, names, sizes, strict=False):
            name, value, style = column[row] if row < len(column) else ("", "", "")
            line.append(f"{name:<{most}} ", "dim").append(f"{value:>{size - most - 1}}", style)
            line.append(" " * (even - size if max(sizes) + 2 <= even else 2))
        line.rstrip()
        lines.append(line)
    return lines


def rule(words: Sequence[Text], width: int) -> Text:
    """A line across, with the first words that fit in it."""
    line = fit(words, max(0, width - 6), 2)
    if not line.plain:
        return Text("─" * width, "dim", no_wrap=True)
    return Text.assemble(("── ", "dim"), line, (f" {'─' * (width - len(line) - 4)}", "dim"), no_wrap=True)


def centred(variants: Sequence[str], width: int) -> str:
    """The first variant that fits, within a line across."""
    words = next((f" {one} " for one in variants if len(one) + 4 <= width), "")
    left = ceil((width - len(words)) / 2)
    return f"{'─' * left}{words}{'─' * (width - len(words) - left)}"


def beside(left: Sequence[Text], right: Sequence[Text], width: int) -> list[Text]:
    """Two columns of lines, the left one `width` wide, a line down between them; as many lines as the longer one."""
    lines = []
    for row in range(max(len(left), len(right))):
        line = left[row].copy() if row < len(left) else Text(no_wrap=True)
        line.append(" " * (width - len(line))).append("│ ", "dim")
        lines.append(line.append_text(right[row]) if row < len(right) else line)
    return lines
