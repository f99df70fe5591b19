"""Commands about jobs: enqueue, and `jobs list / show / explain / wait / history / logs`."""

import json
from collections.abc import Iterator
from typing import Annotated, Final

import typer

from orchestrix_raft import Attempt, Client, DeadlineExceeded, Job, RetryPolicy
from orchestrix_raft.cli import options, output, values
from orchestrix_raft.client.model import RETRY_PRESETS, LogLine
from orchestrix_raft.domain.durations import parse_duration_ms
from orchestrix_raft.domain.job import OnConflict, UniqueScope

SCOPES: Final = ", ".join(scope.word for scope in UniqueScope)
ON_CONFLICT: Final = ", ".join(choice.word for choice in OnConflict)
FOLLOW_S: Final = 1.0  # between two looks at the log of a job that goes on

app = typer.Typer(help="Look at jobs and steer them.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _servers(context: typer.Context, servers: options.Servers = None) -> None:
    options.remember_servers(context, servers)


def enqueue(
    context: typer.Context,
    job_type: Annotated[str, typer.Argument(metavar="TYPE", help="What a worker's handler is named.")],
    args: Annotated[str, typer.Option("--args", metavar="JSON", help="A JSON object.")] = "{}",
    queue: Annotated[str, typer.Option("--queue", metavar="Q")] = "default",
    priority: Annotated[int, typer.Option("--priority", metavar="N", help="Higher goes first.")] = 0,
    delay: Annotated[
        str | None, typer.Option("--delay", metavar="D", help="Not before this long from now.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Not before: RFC 3339, or a date for midnight UTC."),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="D", help="Stop an attempt after this long.")
    ] = None,
    max_retries: Annotated[
        int | None, typer.Option("--max-retries", metavar="N", min=0, help="After a failure. [default: 3]")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--retry", metavar="PRESET", help=f"How late and how often: {', '.join(RETRY_PRESETS)}."),
    ] = None,
    retry_for: Annotated[
        str | None, typer.Option("--retry-for", metavar="D", help="No retry begins later than this from now.")
    ] = None,
    unique_key: Annotated[
        str | None,
        typer.Option("--unique-key", metavar="K", help="At most one job of TYPE has this key."),
    ] = None,
    unique_scope: Annotated[
        str | None,
        typer.Option("--unique-scope", metavar="S", help=f"One of {SCOPES}. [default: until_done]"),
    ] = None,
    unique_for: Annotated[
        str | None,
        typer.Option("--unique-for", metavar="D", help="How long with scope window. [default: 1h]"),
    ] = None,
    on_conflict: Annotated[
        str | None,
        typer.Option(
            "--on-conflict", metavar="C", help=f"One of {ON_CONFLICT}. [default: return_existing]"
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="K", help="For the limits per key of the queue.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="D", help="Cancel it if no worker has it this long.")
    ] = None,
    job_id: options.NewJobId = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end, print the result.")] = False,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Put a job into a queue and print its id.

    Durations: 500ms, 10s, 5m, 2h, 7d.
    """
    if delay is not None and at is not None:
        raise typer.BadParameter("give --delay or --at, not both")
    delay_ms = options.read_optional(parse_duration_ms, delay, "--delay")
    timeout_ms = options.read_optional(parse_duration_ms, timeout, "--timeout")
    retry_for_ms = options.read_optional(parse_duration_ms, retry_for, "--retry-for")
    if preset is not None and preset not in RETRY_PRESETS:
        raise typer.BadParameter(f"{preset!r} is none of {', '.join(RETRY_PRESETS)}", param_hint="--retry")
    expires_ms = options.read_optional(parse_duration_ms, expires, "--expires")
    unique_for_ms = options.read_optional(parse_duration_ms, unique_for, "--unique-for")
    arguments = options.read(values.parse_args, args, "--args")
    run_at = options.read_optional(values.parse_time, at, "--at")
    with options.connect(context, servers) as client:
        enqueued = client.enqueue(
            job_type,
            arguments,
            queue=queue,
            priority=priority,
            delay=_seconds(delay_ms),
            run_at=run_at,
            timeout=_seconds(timeout_ms),
            retry=_policy(preset, max_retries),
            retry_for=_seconds(retry_for_ms),
            unique_key=unique_key,
            unique_scope=unique_scope,
            unique_for=_seconds(unique_for_ms),
            on_conflict=on_conflict,
            key=key,
            expires=_seconds(expires_ms),
            job_id=job_id,
        )
        if wait:
            _finish(client.wait(enqueued), as_json)
        elif as_json:
            output.document({"id": enqueued})
        else:
            output.line(enqueued)


def _seconds(duration_ms: int | None) -> float | None:
    return None if duration_ms is None else duration_ms / 1_000


def _policy(preset: str | None, max_retries: int | None) -> RetryPolicy | None:
    """What was said about retries; None: nothing was."""
    if preset is None and max_retries is None:
        return None
    return RetryPolicy(preset=preset or "default", max_retries=max_retries)


def _finish(job: Job, as_json: bool) -> None:
    """Tell the end of a job; JobFailed unless it completed."""
    if as_json:
        output.document(job)
    elif job.state == "completed":
        output.line(json.dumps(job.result, ensure_ascii=False))
    job.raise_for_state()


@app.command("list")
def list_jobs(
    context: typer.Context,
    state: options.State = None,
    queue: Annotated[str | None, typer.Option("--queue", metavar="Q")] = None,
    job_type: Annotated[str | None, typer.Option("--type", metavar="T")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1)] = 100,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """List jobs, newest first."""
    with options.connect(context, servers) as client:
        jobs = client.list_jobs(state=state, queue=queue, type=job_type, limit=limit)
    if as_json:
        output.document({"jobs": jobs})
        return
    rows = [
        (job.id, job.type, job.queue, job.state, f"{job.failures}/{job.losses}", job.created_at, job.worker)
        for job in jobs
    ]
    columns = ("id", "type", "queue", "state", "failures/losses", "created", "worker")
    output.table(columns, rows, "no such jobs")


@app.command()
def show(
    context: typer.Context,
    job_id: options.JobId,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Show one job: where it stands, its result or its error."""
    with options.connect(context, servers) as client:
        job = client.get(job_id)
    if as_json:
        output.document(job)
    else:
        _show(job)


def _show(job: Job) -> None:
    pairs: list[tuple[str, object]] = []
    for name in job.__struct_fields__:
        value = getattr(job, name)
        if name in ("args", "result") and value is not None:
            value = json.dumps(value, ensure_ascii=False)
        if name not in ("error", "abridged"):
            pairs.append((name, value))
    output.facts(pairs)
    if job.error:
        output.heading("error")
        output.line(job.error.rstrip())


@app.command()
def explain(
    context: typer.Context,
    job_id: options.JobId,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Say why a job is not running, or where it stands."""
    with options.connect(context, servers) as client:
        job = client.get(job_id)
        reasons = client.explain(job_id)
    if as_json:
        output.document({"id": job.id, "state": job.state, "reasons": reasons})
        return
    output.line(f"job {job.id} is {job.state}:")
    for reason in reasons:
        output.line(f"- {reason.text}")


@app.command()
def wait(
    context: typer.Context,
    job_id: options.JobId,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="D", help="Give up after this long. [default: never]")
    ] = None,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Wait for the end of a job and print its result; exit code 1 if it did not complete."""
    timeout_ms = options.read_optional(parse_duration_ms, timeout, "--timeout")
    with options.connect(context, servers) as client:
        job = client.wait(job_id, timeout=_seconds(timeout_ms))
    _finish(job, as_json)


@app.command()
def history(
    context: typer.Context,
    job_id: options.JobId,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Show the finished attempts of a job, oldest first."""
    with options.connect(context, servers) as client:
        attempts = client.history(job_id)
    if as_json:
        output.document({"attempts": attempts})
        return
    rows = [
        (one.attempt, one.state, one.worker, one.node, one.started_at, one.finished_at, _why(one))
        for one in attempts
    ]
    columns = ("attempt", "state", "worker", "node", "started", "finished", "why")
    output.table(columns, rows, "no attempt has ended yet")


def _why(attempt: Attempt) -> str:
    return "; ".join(part for part in (attempt.reason, attempt.error.partition("\n")[0]) if part)


@app.command("logs")
def show_logs(
    context: typer.Context,
    job_id: options.JobId,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the job ends.")] = False,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Show what the job's handlers logged.

    With --follow and --json: one document per line.
    """
    with options.connect(context, servers) as client:
        if follow:
            for one in _follow(client, job_id):
                output.document(one, one_line=True) if as_json else _show_line(one)
            return
        client.get(job_id)  # so that an unknown id is refused instead of having no lines
        found = list(_lines_after(client, job_id, 0))
    if as_json:
        output.document({"lines": found})
    for one in () if as_json else found:
        _show_line(one)


def _lines_after(client: Client, job_id: str, after: int) -> Iterator[LogLine]:
    while page := client.logs(job_id, after=after):
        yield from page
        after = page[-1].number


def _follow(client: Client, job_id: str) -> Iterator[LogLine]:
    """Every line, old and new, until the job is finished and its last line was told."""
    after = 0
    finished = client.get(job_id).finished
    while True:
        for one in _lines_after(client, job_id, after):
            yield one
            after = one.number
        if finished:
            return
        try:
            finished = client.wait(job_id, timeout=FOLLOW_S).finished
        except DeadlineExceeded:
            continue  # it goes on: look again


def _show_line(one: LogLine) -> None:
    output.line(f"{output.cell(one.at)}  {one.level:<7}  {one.message}")
