"""How commands speak: facts on stdout, as tables or one JSON document; trouble on stderr, in one line.

Colour and boxes are for terminals only; into a pipe go plain, aligned, uncut columns.  What is for
terminals is imported there only: it takes as long as a short command does.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

_ESCAPES: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)}


FAILED: Final = 1


class Failure(Exception):
    """The command could not do what it was asked: one line that says what and what to do.  code: of the
    process."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def printable(text: str) -> str:
    """`text` without control characters: what a job logged must not drive the reader's terminal."""
    return text.translate(_ESCAPES)


def line(text: str = "") -> None:
    """One line for people."""
    print(printable(text))


def heading(text: str) -> None:
    """A title over a table, set off on a terminal."""
    if sys.stdout.isatty():
        from orchestrix_raft.cli import terminal

        terminal.styled(text, "bold")
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
        from orchestrix_raft.cli import terminal

        terminal.styled(one_line, "bold red")
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
        from orchestrix_raft.cli import terminal

        terminal.table(columns, cells)
    else:
        _plain_table(columns, cells)


def facts(pairs: Sequence[tuple[str, object]]) -> None:
    """Name and value, one pair a line; pairs without a value are left out."""
    shown = [(name, cell(value)) for name, value in pairs if value not in (None, "", [], ())]
    width = max((len(name) for name, _ in shown), default=0)
    if sys.stdout.isatty():
        from orchestrix_raft.cli import terminal

        terminal.facts(shown, width)
        return
    for name, value in shown:
        print(f"{name:<{width}}  {value}")


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
