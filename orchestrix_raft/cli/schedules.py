"""Commands about schedules: `schedules list / cron / every / at / update / show / pause / resume / trigger /
delete / preview`."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from orchestrix_raft import Schedule
from orchestrix_raft.cli import options, output, values
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.cli.presets import PRESETS, retry_policy
from orchestrix_raft.cli.preview import preview
from orchestrix_raft.domain.durations import format_duration, parse_duration_ms
from orchestrix_raft.domain.limits import PRIORITY_MAX
from orchestrix_raft.domain.schedule import Cursor, DstGap, DstOverlap, Misfire, Overlap, parse_choice

if TYPE_CHECKING:
    from orchestrix_raft import Client

app = typer.Typer(
    help="Make schedules, look at them and steer them.", no_args_is_help=True, rich_markup_mode=None
)
app.command()(preview)

STATES: Final = ("active", "paused", "finished")
COLUMNS: Final = ("id", "state", "when", "type", "next", "last", "outcome", "fired", "skipped")


def _choice(kind: Any) -> Callable[[str | None], str | None]:
    """A callback that lets through the words of a choice."""

    def check(text: str | None) -> str | None:
        return text if text is None else options.checked_value(lambda: parse_choice(kind, text), text)

    return check


def _words(kind: Any) -> str:
    return "|".join(choice.word for choice in kind)


def _word_option(name: str, kind: Any, text: str) -> Any:
    help_text = f"{text} [default: {next(iter(kind)).word}]"
    return typer.Option(name, metavar=_words(kind), help=help_text, callback=_choice(kind))


Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="The schedule's id.", callback=options.checked(options.schedule_id)),
]
Args = Annotated[
    str | None, typer.Option("--args", metavar="JSON", help="A JSON object; @FILE or - (stdin) has it.")
]
Queue = Annotated[
    str | None,
    typer.Option(
        "--queue", metavar="Q", help="[default: default]", callback=options.checked(options.queue_name)
    ),
]
Priority = Annotated[
    int | None,
    typer.Option("--priority", metavar="N", help="Higher goes first.", min=-PRIORITY_MAX, max=PRIORITY_MAX),
]
Timeout = Annotated[
    str | None,
    typer.Option("--timeout", metavar="D", help="Stop an attempt after this long; 0s: let it run."),
]
Retries = Annotated[
    int | None, typer.Option("--max-retries", metavar="N", min=0, help="After a failure. [default: 3]")
]
Preset = Annotated[
    str | None,
    typer.Option("--retry", metavar="PRESET", help=f"How often, how late: {PRESETS}."),
]
RetryFor = Annotated[
    str | None,
    typer.Option("--retry-for", metavar="D", help="No retry begins later than this after the run's start."),
]
Expires = Annotated[
    str | None, typer.Option("--expires", metavar="D", help="Cancel a run if no worker has it this long.")
]
MisfireOption = Annotated[
    str | None,
    _word_option(
        "--misfire",
        Misfire,
        "What becomes of slots that nobody could fire; all wants another --overlap than skip.",
    ),
]
OverlapOption = Annotated[
    str | None, _word_option("--overlap", Overlap, "What becomes of a slot while a run is not finished.")
]
Jitter = Annotated[
    str | None, typer.Option("--jitter", metavar="D", help="Start each run up to this much later.")
]
PauseOnFailure = Annotated[
    int | None,
    typer.Option(
        "--pause-on-failure", metavar="N", min=0, help="Pause after N runs in a row that end dead; 0: never."
    ),
]
Start = Annotated[str | None, typer.Option("--start", metavar="TIME", help="No slot before.")]
End = Annotated[str | None, typer.Option("--end", metavar="TIME", help="No slot after.")]
MaxRuns = Annotated[
    int | None, typer.Option("--max-runs", metavar="N", min=0, help="Finish after N runs; 0: never.")
]
CursorOption = Annotated[
    str | None,
    _word_option("--cursor", Cursor, "What a change does to the place in time of a schedule that is there."),
]
GapOption = Annotated[str | None, _word_option("--dst-gap", DstGap, "When clocks jump over a fixed time.")]
DstOverlapOption = Annotated[
    str | None, _word_option("--dst-overlap", DstOverlap, "When clocks show a fixed time twice.")
]
Anchor = Annotated[str | None, typer.Option("--anchor", metavar="TIME", help="Count from here.")]


@app.callback()
def _servers(context: typer.Context, servers: options.Servers = None) -> None:
    options.remember_servers(context, servers)


@app.command("list")
def list_schedules(
    context: typer.Context,
    prefix: Annotated[str, typer.Option("--prefix", metavar="P", help="Ids that begin like this.")] = "",
    state: Annotated[
        str | None,
        typer.Option(
            "--state", metavar="S", help=f"One of {', '.join(STATES)}.", callback=lambda text: _state(text)
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1)] = 1_000,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """List schedules by id."""
    with options.connect(context, servers) as client:
        found = client.schedules.list(prefix=prefix, state=state, limit=limit)
    if as_json:
        output.document({"schedules": found})
    else:
        output.table(COLUMNS, [_row(one) for one in found], "no such schedules")


@app.command()
def cron(
    context: typer.Context,
    schedule_id: Id,
    expression: Annotated[
        str, typer.Argument(metavar="EXPR", help="5 fields, or 6 with seconds first, or @daily.")
    ],
    job_type: options.TypeName,
    args: Args = None,
    timezone: options.Timezone = None,
    dst_gap: GapOption = None,
    dst_overlap: DstOverlapOption = None,
    queue: Queue = None,
    priority: Priority = None,
    timeout: Timeout = None,
    max_retries: Retries = None,
    preset: Preset = None,
    retry_for: RetryFor = None,
    expires: Expires = None,
    key: options.Key = None,
    misfire: MisfireOption = None,
    overlap: OverlapOption = None,
    jitter: Jitter = None,
    pause_on_failure: PauseOnFailure = None,
    start: Start = None,
    end: End = None,
    max_runs: MaxRuns = None,
    cursor: CursorOption = None,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Make a schedule by the calendar, or change the one of this id.

    Try the expression with `schedules preview`.
    """
    given = _given(locals())
    times = _named(timezone=timezone, dst_gap=dst_gap, dst_overlap=dst_overlap, cursor=cursor)
    _put(
        context,
        servers,
        as_json,
        lambda client: client.schedules.cron(
            schedule_id, expression, job_type, _arguments(args), **times, **given
        ),
    )


@app.command()
def every(
    context: typer.Context,
    schedule_id: Id,
    period: Annotated[str, typer.Argument(metavar="D", help="The interval: 500ms, 10s, 5m, 2h, 7d.")],
    job_type: options.TypeName,
    args: Args = None,
    anchor: Anchor = None,
    queue: Queue = None,
    priority: Priority = None,
    timeout: Timeout = None,
    max_retries: Retries = None,
    preset: Preset = None,
    retry_for: RetryFor = None,
    expires: Expires = None,
    key: options.Key = None,
    misfire: MisfireOption = None,
    overlap: OverlapOption = None,
    jitter: Jitter = None,
    pause_on_failure: PauseOnFailure = None,
    start: Start = None,
    end: End = None,
    max_runs: MaxRuns = None,
    cursor: CursorOption = None,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Make a schedule by the interval, or change the one of this id."""
    given = _given(locals())
    times = _named(anchor=options.read_optional(values.parse_time, anchor, "--anchor"), cursor=cursor)
    length = _period(period, "D")
    _put(
        context,
        servers,
        as_json,
        lambda client: client.schedules.every(
            schedule_id, length, job_type, _arguments(args), **times, **given
        ),
    )


@app.command("at")
def once(
    context: typer.Context,
    schedule_id: Id,
    time: Annotated[str, typer.Argument(metavar="TIME", help="RFC 3339, or a date for midnight UTC.")],
    job_type: options.TypeName,
    args: Args = None,
    queue: Queue = None,
    priority: Priority = None,
    timeout: Timeout = None,
    max_retries: Retries = None,
    preset: Preset = None,
    retry_for: RetryFor = None,
    expires: Expires = None,
    key: options.Key = None,
    misfire: MisfireOption = None,
    jitter: Jitter = None,
    cursor: CursorOption = None,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Make a schedule of one run, or change the one of this id."""
    given = _given(locals())
    run_at = options.read(values.parse_time, time, "TIME")
    _put(
        context,
        servers,
        as_json,
        lambda client: client.schedules.at(
            schedule_id, run_at, job_type, _arguments(args), **_named(cursor=cursor), **given
        ),
    )


@app.command()
def update(
    context: typer.Context,
    schedule_id: Id,
    expression: Annotated[str | None, typer.Option("--cron", metavar="EXPR")] = None,
    timezone: options.Timezone = None,
    dst_gap: GapOption = None,
    dst_overlap: DstOverlapOption = None,
    period: Annotated[str | None, typer.Option("--every", metavar="D")] = None,
    anchor: Anchor = None,
    time: Annotated[str | None, typer.Option("--at", metavar="TIME")] = None,
    job_type: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", callback=options.checked(options.type_name)),
    ] = None,
    args: Args = None,
    queue: Queue = None,
    priority: Priority = None,
    timeout: Timeout = None,
    max_retries: Retries = None,
    preset: Preset = None,
    retry_for: RetryFor = None,
    expires: Expires = None,
    key: options.KeyOrNone = None,
    misfire: MisfireOption = None,
    overlap: OverlapOption = None,
    jitter: Jitter = None,
    pause_on_failure: PauseOnFailure = None,
    start: Start = None,
    end: End = None,
    max_runs: MaxRuns = None,
    cursor: CursorOption = None,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Change what is named of a schedule, and leave the rest."""
    given = _given(locals())
    times = _named(
        cron=expression,
        timezone=timezone,
        dst_gap=dst_gap,
        dst_overlap=dst_overlap,
        every=None if period is None else _period(period, "--every"),
        anchor=options.read_optional(values.parse_time, anchor, "--anchor"),
        run_at=options.read_optional(values.parse_time, time, "--at"),
        type=job_type,
        args=None if args is None else _arguments(args),
        cursor=cursor,
    )
    if not times and not given:
        raise typer.BadParameter("name something to change")
    _put(context, servers, as_json, lambda client: client.schedules.update(schedule_id, **times, **given))


@app.command()
def show(
    context: typer.Context,
    schedule_id: Id,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Show one schedule: how it stands, what it did last."""
    with options.connect(context, servers) as client:
        found = client.schedules.get(schedule_id)
    if as_json:
        output.document(found)
        return
    pairs: list[tuple[str, object]] = []
    for name in found.__struct_fields__:
        value = getattr(found, name)
        pairs.append((name, json.dumps(value, ensure_ascii=False) if name == "args" and value else value))
    output.facts([pair for pair in pairs if pair[1] not in (0, 0.0, {}) or pair[0] in ("fired", "skipped")])


@app.command()
def pause(
    context: typer.Context,
    schedule_id: Id,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Shown while it is paused.")] = "",
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Start no run until the schedule is resumed."""
    with options.connect(context, servers) as client:
        word = client.schedules.pause(schedule_id, reason)
    _steered(schedule_id, word, as_json)


@app.command()
def resume(
    context: typer.Context,
    schedule_id: Id,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Start runs again, from now on."""
    with options.connect(context, servers) as client:
        word = client.schedules.resume(schedule_id)
    _steered(schedule_id, word, as_json)


@app.command()
def trigger(
    context: typer.Context,
    schedule_id: Id,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Start a run now and print its job's id; exit code 1 if the overlap policy forbids it."""
    with options.connect(context, servers) as client:
        result = client.schedules.trigger(schedule_id)
    if as_json:
        output.document({"id": schedule_id, "result": result.outcome, "job_id": result.job_id})
    elif result.job_id is not None:
        output.line(result.job_id)
    elif result.outcome == "buffered":
        output.line("buffered: it starts when the active run has ended")
    if result.outcome == "skipped_buffer_full":
        raise Failure(f"schedule {schedule_id} has an active run, and its buffer is full")
    if result.outcome.startswith("skipped"):
        raise Failure(
            f"schedule {schedule_id} has an active run, and its policy is to skip what comes meanwhile"
        )


@app.command()
def delete(
    context: typer.Context,
    schedule_id: Id,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Delete a schedule; its unfinished runs go on as jobs."""
    with options.connect(context, servers) as client:
        client.schedules.delete(schedule_id)
    _steered(schedule_id, "deleted", as_json)


# ---- what is said and shown


def _state(text: str | None) -> str | None:
    if text is not None and text not in STATES:
        raise typer.BadParameter(f"no such state: {text!r} (there are {', '.join(STATES)})")
    return text


_PLAIN: Final = ("queue", "priority", "key", "misfire", "overlap", "pause_on_failure", "max_runs")
_DURATIONS: Final = ("timeout", "retry_for", "expires", "jitter")
_TIMES: Final = ("start", "end")


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    """The options of the SDK that a command was given."""
    given = _named(**{name: arguments.get(name) for name in _PLAIN})
    for name in _DURATIONS:
        if arguments.get(name) is not None:
            option = f"--{name.replace('_', '-')}"
            given[name] = options.read(parse_duration_ms, arguments[name], option) / 1_000
    for name in _TIMES:
        if arguments.get(name) is not None:
            given[name] = options.read(values.parse_time, arguments[name], f"--{name}")
    policy = retry_policy(arguments.get("preset"), arguments.get("max_retries"))
    return given if policy is None else given | {"retry": policy}


def _named(**named: Any) -> dict[str, Any]:
    return {name: value for name, value in named.items() if value is not None}


def _period(text: str, name: str) -> timedelta:
    return timedelta(milliseconds=options.read(parse_duration_ms, text, name))


def _arguments(text: str | None) -> dict[str, object]:
    return options.read(values.parse_args, text or "{}", "--args")


def _put(
    context: typer.Context, servers: str | None, as_json: bool, put: "Callable[[Client], Schedule]"
) -> None:
    with options.connect(context, servers) as client:
        found = put(client)
    if as_json:
        output.document(found)
        return
    following = "no further run" if found.next_run is None else f"next run {output.cell(found.next_run)}"
    if found.state == "paused":
        following = "it is paused"
    begun = ", begun anew" if found.cursor == "reset" else ""
    output.line(f"{found.id} {found.outcome}{begun}: {following}")


def _steered(schedule_id: str, word: str, as_json: bool) -> None:
    """Tell what became of a request; Failure if there was nothing to do."""
    if as_json:
        output.document({"id": schedule_id, "result": word})
    if word in ("already_paused", "not_paused"):
        state = "paused already" if word == "already_paused" else "not paused"
        raise Failure(f"nothing to do: schedule {schedule_id} is {state}")
    if not as_json:
        output.line(word)


def _row(one: Schedule) -> tuple[object, ...]:
    next_run = one.next_run
    return (
        one.id,
        one.state,
        when(one),
        one.type,
        next_run,
        one.last_fired_at,
        one.last_outcome,
        one.fired,
        one.skipped,
    )


def when(one: Schedule) -> str:
    """The times of a schedule in a few words."""
    if one.kind == "cron":
        return one.cron if one.timezone == "UTC" else f"{one.cron} ({one.timezone})"
    if one.every is not None:
        return f"every {format_duration(round(one.every * 1_000))}"
    return f"at {output.cell(one.run_at)}"
