"""How facts look on a terminal.  For `output` alone, which decides what goes where."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

_STYLES: Final = {
    "completed": "green",
    "running": "cyan",
    "dispatched": "cyan",
    "scheduled": "yellow",
    "cancelled": "dim",
    "dead": "red",
    "failed": "red",
    "timed_out": "red",
    "lost": "yellow",
    "leader": "bold green",
    "unreachable": "red",
    "alive": "green",
    "suspect": "yellow",
    "stopped": "dim",
    "draining": "yellow",
    "detached": "yellow",
}
"""Words that carry a verdict; everything else is shown as it is."""


def styled(text: str, style: str) -> None:
    """A line that stands out."""
    Console().print(Text(text, style=style))


def facts(pairs: Sequence[tuple[str, str]], width: int) -> None:
    """Name and value, one pair a line; width: of the longest name."""
    console = Console()
    for name, value in pairs:
        pair = Text.assemble((f"{name:<{width}}  ", "dim"), (value, _STYLES.get(value, "")))
        console.print(pair, soft_wrap=True)


def table(columns: Sequence[str], cells: list[list[str]]) -> None:
    """Rows under their columns; columns that do not fit are left out and named."""
    console = Console()
    fitting = _fitting(columns, cells, console.width)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns[:fitting]:
        shown.add_column(column.upper(), overflow="fold")
    for row in cells:
        shown.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in row[:fitting]))
    console.print(shown)
    if fitting < len(columns):
        left_out = ", ".join(columns[fitting:])
        console.print(Text(f"(not shown, for want of width: {left_out}; --json has all)", "dim"))


def _fitting(columns: Sequence[str], cells: list[list[str]], width: int) -> int:
    """How many columns fit whole, from the left, at least two: an id that is broken cannot be copied."""
    used = 0
    for number, column in enumerate(columns):
        used += max(len(column), *(len(row[number]) for row in cells)) + 2
        if used - 2 > width and number >= 2:
            return number
    return len(columns)
