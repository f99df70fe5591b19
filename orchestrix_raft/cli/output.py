"""How commands speak: facts on stdout, as tables or one JSON document; trouble on stderr, in one line.

Colour and boxes are for terminals only; into a pipe go plain, aligned, uncut columns.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
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

_ESCAPES: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)}


class Failure(Exception):
    """The command could not do what it was asked: one line that says what and what to do; exit code 1."""


def printable(text: str) -> str:
    """`text` without control characters: what a job logged must not drive the reader's terminal."""
    return text.translate(_ESCAPES)


def line(text: str = "") -> None:
    """One line for people."""
    print(printable(text))


def heading(text: str) -> None:
    """A title over a table, set off on a terminal."""
    if sys.stdout.isatty():
        Console().print(Text(text, style="bold"))
    else:
        print(text)


def document(value: object, *, one_line: bool = False) -> None:
    """One JSON document: values of the SDK by field name, times as RFC 3339 in UTC."""
    plain = "utf" not in (sys.stdout.encoding or "utf-8").lower()  # then JSON's own escapes must do
    print(json.dumps(msgspec.to_builtins(value), indent=None if one_line else 2, ensure_ascii=plain))


def warning(text: str) -> None:
    """One line on stdout about something that is wrong, set off on a terminal."""
    one_line = f"! {cell(text)}"
    if sys.stdout.isatty():
        Console().print(Text(one_line, style="bold red"))
    else:
        print(one_line)


def clear() -> None:
    """Start again at the top, on a terminal; elsewhere an empty line separates what follows."""
    print("\x1b[H\x1b[2J" if sys.stdout.isatty() else "", end="" if sys.stdout.isatty() else "\n", flush=True)


def trouble(text: str) -> None:
    """One line on stderr."""
    one_line = " ".join(printable(text).split())
    print(f"orchestrix-raft: {one_line}", file=sys.stderr)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], nothing: str) -> None:
    """Rows under their columns; `nothing` is said when there are none."""
    if not rows:
        line(nothing)
        return
    cells = [[cell(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _rich_table(columns, cells)
    else:
        _plain_table(columns, cells)


def facts(pairs: Sequence[tuple[str, object]]) -> None:
    """Name and value, one pair a line; pairs without a value are left out."""
    shown = [(name, cell(value)) for name, value in pairs if value not in (None, "", [], ())]
    width = max((len(name) for name, _ in shown), default=0)
    console = Console() if sys.stdout.isatty() else None
    for name, value in shown:
        if console is None:
            print(f"{name:<{width}}  {value}")
        else:
            pair = Text.assemble((f"{name:<{width}}  ", "dim"), (value, _STYLES.get(value, "")))
            console.print(pair, soft_wrap=True)


def cell(value: object) -> str:
    """One value on one line."""
    match value:
        case None:
            return "-"
        case datetime():
            return value.astimezone(UTC).isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
        case list() | tuple() | frozenset() | set():
            return ",".join(cell(one) for one in value) or "-"
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return printable(" ".join(str(value).split())) or "-"


def _plain_table(columns: Sequence[str], cells: list[list[str]]) -> None:
    grid = [[column.upper() for column in columns], *cells]
    widths = [max(len(row[i]) for row in grid) for i in range(len(columns))]
    for row in grid:
        print("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(columns: Sequence[str], cells: list[list[str]]) -> None:
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
