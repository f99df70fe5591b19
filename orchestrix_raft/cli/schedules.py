"""Commands about schedules: `schedules preview`, which computes locally and needs no cluster."""

import time
from collections.abc import Callable
from typing import Annotated, Final, TypeVar

import typer

from orchestrix_raft.cli import options, output, values
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.schedule import DstGap, DstOverlap, parse_choice
from orchestrix_raft.timetable import cron, zones
from orchestrix_raft.timetable.days import YEARS_SEARCHED
from orchestrix_raft.timetable.evaluator import CronEvaluator
from orchestrix_raft.timetable.preview import preview as preview_runs

app = typer.Typer(help="Work with schedules.", no_args_is_help=True, rich_markup_mode=None)

_FIRST_MS: Final = 0  # before 1970 the rules of many zones are guesses
Value = TypeVar("Value")


@app.callback()
def _group() -> None:
    """One command alone would otherwise take the place of the group."""


@app.command()
def preview(
    expression: Annotated[
        str, typer.Argument(metavar="EXPR", help="Cron: 5 fields, or 6 with seconds first, or @daily.")
    ],
    timezone: Annotated[str, typer.Option("--timezone", metavar="Z", help="IANA name.")] = zones.DEFAULT_ZONE,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, max=limits.PREVIEW_RUNS)] = 10,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="RFC 3339; left out: now.")
    ] = None,
    dst_gap: Annotated[
        str, typer.Option("--dst-gap", metavar="shift|skip", help="When clocks jump over a fixed time.")
    ] = DstGap.SHIFT.word,
    dst_overlap: Annotated[
        str, typer.Option("--dst-overlap", metavar="first|last|both", help="When clocks show it twice.")
    ] = DstOverlap.FIRST.word,
    schedule_id: Annotated[
        str, typer.Option("--id", metavar="ID", help="The schedule's id: decides what H stands for.")
    ] = "",
    as_json: options.Json = False,
) -> None:
    """Show when a cron expression would be due, and what changes of the clocks do to it."""
    evaluator = CronEvaluator(
        _read("EXPR", lambda: cron.parse(expression, seed=schedule_id)),
        _read("--timezone", lambda: zones.zone(timezone)),
        _read("--dst-gap", lambda: parse_choice(DstGap, dst_gap)),
        _read("--dst-overlap", lambda: parse_choice(DstOverlap, dst_overlap)),
    )
    runs = preview_runs(evaluator, _read("--from", lambda: _instant_ms(begin)), count)
    if as_json:
        output.document({"runs": [{"at": run.at, "local": run.local, "note": run.note} for run in runs]})
        return
    rows = [(run.at, run.local, run.note or None) for run in runs]
    output.table(("at", "local", "note"), rows, f"not due within {YEARS_SEARCHED} years")
    if evaluator.expression.hashed and not schedule_id:
        output.line(
            "H stands for values that follow from the schedule's id: add --id ID to see those of one."
        )


def _read(name: str, reader: Callable[[], Value]) -> Value:
    """What `reader` makes of an argument, or the refusal of it under its name."""
    try:
        return reader()
    except ValueError as error:
        raise typer.BadParameter(f"{name}: {error}") from error


def _instant_ms(text: str | None) -> int:
    if text is None:
        return time.time_ns() // 1_000_000
    at = values.parse_time(text)
    instant_ms = int(at.timestamp()) * 1_000 + at.microsecond // 1_000
    if instant_ms < _FIRST_MS:
        raise ValueError(f"{text[:40]!r} is too early (from 1970-01-01T00:00:00Z on)")
    return instant_ms
