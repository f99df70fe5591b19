"""Commands about jobs: `jobs list / show / explain / wait / history / logs`."""

import json
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orchestrix_raft import Attempt, Job
from orchestrix_raft.cli import following, naming, options, output, steering
from orchestrix_raft.cli.waiting import await_end, finish
from orchestrix_raft.client.model import LogLine
from orchestrix_raft.domain.durations import format_duration, parse_duration_ms

if TYPE_CHECKING:
    from orchestrix_raft import Client

WHY_CHARS: Final = 100  # of the reason and the first line of the error, in a list
_LENGTHS: Final = ("timeout", "retry_for", "expires")  # of time, shown as the options take them

app = typer.Typer(help="Look at jobs and steer them.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _servers(context: typer.Context, servers: options.Servers = None) -> None:
    options.remember_servers(context, servers)


def _seconds(duration_ms: int | None) -> float | None:
    return None if duration_ms is None else duration_ms / 1_000


@app.command("list")
def list_jobs(
    context: typer.Context,
    state: options.State = None,
    queue: options.OfQueue = None,
    job_type: options.OfType = None,
    owner: Annotated[
        str | None,
        typer.Option(
            "--owner",
            metavar="NODE",
            help="Only jobs that this node answers for now.",
            callback=options.checked(options.not_empty),
        ),
    ] = None,
    worker: Annotated[
        str | None,
        typer.Option(
            "--worker",
            metavar="ID",
            help="Only jobs that this worker holds now: its id or its beginning, or its name.",
            callback=options.checked(options.not_empty),
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1)] = 100,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """List jobs: unfinished ones, newest first; then ended ones, latest end first.

    With --owner or --worker: latest assignment first.
    """
    with options.connect(context, servers) as client:
        worker_id = None if worker is None else naming.worker_named(client, worker).id
        jobs = client.list_jobs(
            state=state, queue=queue, type=job_type, limit=limit, owner=owner, worker=worker_id
        )
    if as_json:
        output.document({"jobs": jobs})
        return
    columns = ["id", "type", "queue", "state", "failures/losses", "created", "worker"]
    rows = [
        [job.id, job.type, job.queue, job.state, f"{job.failures}/{job.losses}", job.created_at, job.worker]
        for job in jobs
    ]
    if any(job.reason or job.error for job in jobs):  # dead letters, mostly
        columns.append("why")
        for row, job in zip(rows, jobs, strict=True):
            row.append(_why(job)[:WHY_CHARS])
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
        if name in _LENGTHS and value is not None:
            value = format_duration(round(value * 1_000))
        if name == "missed_count" and not job.schedule:
            continue
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
        str | None,
        typer.Option(
            "--timeout", metavar="D", help="Give up after this long; 0s: only look. [default: never]"
        ),
    ] = None,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Wait for the end of a job and print its result; exit code 1 if it did not complete."""
    timeout_ms = options.read_optional(parse_duration_ms, timeout, "--timeout")
    with options.connect(context, servers) as client:
        job = await_end(client, job_id, _seconds(timeout_ms), shown=not as_json)
    finish(job, as_json)


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


def _why(told: Attempt | Job) -> str:
    return "; ".join(part for part in (told.reason, told.error.partition("\n")[0]) if part)


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
            for one in following.lines(client, job_id):
                output.document(one, one_line=True) if as_json else _show_line(one)
            return
        client.get(job_id)  # so that an unknown id is refused instead of having no lines
        found, silent = _all_lines(client, job_id)
    if silent:
        output.trouble(f"{', '.join(silent)} did not answer: lines that are kept nowhere else are missing")
    if as_json:
        output.document({"lines": found, "silent_nodes": silent})
    for one in () if as_json else found:
        _show_line(one)


def _all_lines(client: "Client", job_id: str) -> tuple[list[LogLine], list[str]]:
    """All that can be had, and which nodes did not answer."""
    lines: list[LogLine] = []
    silent: set[str] = set()
    while page := client.logs(job_id, after=lines[-1] if lines else None):
        lines += page
        silent.update(page.silent_nodes)
    silent.update(page.silent_nodes)
    return lines, sorted(silent)


def _show_line(one: LogLine) -> None:
    output.line(f"{output.cell(one.at)}  {one.level:<7}  {one.message}")


for command in (steering.cancel, steering.retry, steering.purge):
    app.command()(command)
