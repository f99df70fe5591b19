"""`enqueue`: puts a job into a queue."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from orchestrix_raft import Job, OutcomeUnknown, Unavailable
from orchestrix_raft.cli import options, output, values
from orchestrix_raft.cli.presets import PRESETS, retry_policy
from orchestrix_raft.cli.waiting import await_end, finish
from orchestrix_raft.client.model import Enqueued
from orchestrix_raft.domain.durations import parse_duration_ms
from orchestrix_raft.domain.job import OnConflict, UniqueScope
from orchestrix_raft.domain.limits import PRIORITY_MAX

if TYPE_CHECKING:
    from orchestrix_raft import Client

_SCOPES: Final = tuple(scope.word for scope in UniqueScope)
_CONFLICTS: Final = tuple(choice.word for choice in OnConflict)
_OUTCOMES: Final = {True: "created", False: "existing", None: None}

Args = Annotated[
    str, typer.Option("--args", metavar="JSON", help="A JSON object; @FILE or - (standard input) has it.")
]
Queue = Annotated[str, typer.Option("--queue", metavar="Q", callback=options.checked(options.queue_name))]
Priority = Annotated[
    int,
    typer.Option(
        "--priority",
        metavar="N",
        help="Higher goes first.",
        min=-PRIORITY_MAX,
        max=PRIORITY_MAX,
    ),
]
Delay = Annotated[str | None, typer.Option("--delay", metavar="D", help="Not before this long from now.")]
At = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="Not before: RFC 3339, or a date for midnight UTC.")
]
Timeout = Annotated[
    str | None, typer.Option("--timeout", metavar="D", help="Stop an attempt after this long.")
]
MaxRetries = Annotated[
    int | None, typer.Option("--max-retries", metavar="N", min=0, help="After a failure. [default: 3]")
]
Preset = Annotated[
    str | None, typer.Option("--retry", metavar="PRESET", help=f"How often, how late: {PRESETS}.")
]
RetryFor = Annotated[
    str | None, typer.Option("--retry-for", metavar="D", help="No retry begins later than this from now.")
]
UniqueKey = Annotated[
    str | None,
    typer.Option(
        "--unique-key",
        metavar="K",
        help="At most one job of TYPE has this key.",
        callback=options.checked(options.not_empty),
    ),
]
Scope = Annotated[
    str | None,
    typer.Option(
        "--unique-scope",
        metavar="S",
        help=f"One of {', '.join(_SCOPES)}. [default: until_done]",
        callback=options.one_of(_SCOPES),
    ),
]
UniqueFor = Annotated[
    str | None, typer.Option("--unique-for", metavar="D", help="How long with scope window. [default: 1h]")
]
Conflict = Annotated[
    str | None,
    typer.Option(
        "--on-conflict",
        metavar="C",
        help=f"One of {', '.join(_CONFLICTS)}. [default: return_existing]",
        callback=options.one_of(_CONFLICTS),
    ),
]
Expires = Annotated[
    str | None, typer.Option("--expires", metavar="D", help="Cancel it if no worker has it this long.")
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="L", help="Only for workers with this label; may be repeated."),
]
CorrelationId = Annotated[
    str | None,
    typer.Option("--correlation-id", metavar="ID", help="Kept with the job; its handler sees it."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end, print the result.")]


def enqueue(
    context: typer.Context,
    job_type: options.TypeName,
    args: Args = "{}",
    queue: Queue = "default",
    priority: Priority = 0,
    delay: Delay = None,
    at: At = None,
    timeout: Timeout = None,
    max_retries: MaxRetries = None,
    preset: Preset = None,
    retry_for: RetryFor = None,
    unique_key: UniqueKey = None,
    unique_scope: Scope = None,
    unique_for: UniqueFor = None,
    on_conflict: Conflict = None,
    key: options.Key = None,
    expires: Expires = None,
    labels: Labels = None,
    correlation_id: CorrelationId = None,
    job_id: options.NewJobId = None,
    wait: Wait = False,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Put a job into a queue and print its id.

    When the job is there already (its id, or its unique key), nothing new is enqueued, which a line on
    stderr says.  Durations: 500ms, 10s, 5m, 2h, 7d.
    """
    arguments = options.read(values.parse_args, args, "--args")
    given = {
        "queue": queue,
        "priority": priority,
        "delay": _seconds(delay, "--delay"),
        "run_at": options.read_optional(values.parse_time, at, "--at"),
        "timeout": _lasting(timeout, "--timeout"),
        "retry": retry_policy(preset, max_retries),
        "retry_for": _lasting(retry_for, "--retry-for"),
        "unique_key": unique_key,
        "unique_scope": unique_scope,
        "unique_for": _lasting(unique_for, "--unique-for"),
        "on_conflict": on_conflict,
        "key": key,
        "expires": _lasting(expires, "--expires"),
        "labels": labels,
        "correlation_id": correlation_id,
        "job_id": job_id,
    }
    _check_together(given)
    with options.connect(context, servers) as client:
        enqueued = _enqueued(client, job_type, arguments, given)
        if wait:
            finish(_awaited(client, enqueued.id, shown=not as_json), as_json)
            return
    if as_json:
        output.document({"id": enqueued.id, "outcome": _OUTCOMES[enqueued.created]})
    else:
        output.line(enqueued.id)


def _check_together(given: dict[str, Any]) -> None:
    """Options that exclude or need each other, seen without asking a node."""
    if given["delay"] is not None and given["run_at"] is not None:
        raise typer.BadParameter("give --delay or --at, not both")
    alone = [name for name in ("unique_scope", "unique_for", "on_conflict") if given[name] is not None]
    if alone and given["unique_key"] is None:
        names = ", ".join("--" + name.replace("_", "-") for name in alone)
        raise typer.BadParameter(f"{'goes' if len(alone) == 1 else 'go'} with --unique-key", param_hint=names)
    if given["unique_for"] is not None and given["unique_scope"] != UniqueScope.WINDOW.word:
        raise typer.BadParameter("goes with --unique-scope window", param_hint="--unique-for")


def _enqueued(
    client: "Client", job_type: str, arguments: dict[str, object], given: dict[str, Any]
) -> Enqueued:
    """What became of the job; a line on stderr if it was there already.  Where nobody knows, the error says
    how to ask again: with the id of the first try a second one is the same job."""
    try:
        enqueued = client.enqueue_told(job_type, arguments, **given)
    except OutcomeUnknown as error:
        again = f"; it is safe to repeat the command with --id {error.job_ids[0]}" if error.job_ids else ""
        raise OutcomeUnknown(f"{error}{again}", error.reason, error.job_ids) from error
    if enqueued.created is False:
        output.trouble(f"nothing new was enqueued: job {enqueued.id} is there already")
    return enqueued


def _awaited(client: "Client", job_id: str, *, shown: bool) -> Job:
    """The job at its end.  Who cannot wait for it, or will not, is told its id: nothing else has said it."""
    again = f"job {job_id} goes on; `orchestrix-raft jobs wait {job_id}` waits for it again"
    try:
        return await_end(client, job_id, None, shown=shown)
    except KeyboardInterrupt:
        output.trouble(again)
        raise
    except Unavailable as error:
        raise Unavailable(f"{error}; {again}", error.reason) from error


def _seconds(text: str | None, option: str) -> float | None:
    duration_ms = options.read_optional(parse_duration_ms, text, option)
    return None if duration_ms is None else duration_ms / 1_000


def _lasting(text: str | None, option: str) -> float | None:
    """Seconds, more than none: for the cluster 0 means that nothing is set, which few would guess."""
    duration_ms = options.read_optional(values.parse_lasting_ms, text, option)
    return None if duration_ms is None else duration_ms / 1_000
