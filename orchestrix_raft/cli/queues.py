"""Commands about queues: `queues list / pause / resume / limit / purge`."""

from datetime import timedelta
from typing import Annotated, Final

import typer

from orchestrix_raft.cli import options, output, values, waiting
from orchestrix_raft.cli.values import Removed
from orchestrix_raft.client.queues import UNCHANGED, Queue, Rate, RateLimit, Unchanged
from orchestrix_raft.domain.durations import format_duration
from orchestrix_raft.domain.words import counted

app = typer.Typer(help="Pause, limit and look at queues.", no_args_is_help=True, rich_markup_mode=None)

COLUMNS: Final = (
    "queue",
    "state",
    "scheduled",
    "pending",
    "dispatched",
    "running",
    "rate",
    "concurrency",
    "key rate",
    "key concurrency",
)

Name = Annotated[
    str,
    typer.Argument(metavar="Q", help="The queue's name.", callback=options.checked(options.queue_name)),
]
_RATE: Final = "N in any D, such as 100/1s"


def _limit_option(name: str, metavar: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(name, metavar=metavar, help=f"{text}; none: no limit.")
    return option


@app.callback()
def _servers(context: typer.Context, servers: options.Servers = None) -> None:
    options.remember_servers(context, servers)


@app.command("list")
def list_queues(
    context: typer.Context, as_json: options.Json = False, servers: options.Servers = None
) -> None:
    """List queues with their unfinished jobs and their limits."""
    with options.connect(context, servers) as client:
        queues = client.queues.list()
    if as_json:
        output.document({"queues": queues})
    else:
        output.table(COLUMNS, [_row(queue) for queue in queues], "no queue has unfinished jobs or a limit")


@app.command()
def pause(
    context: typer.Context, name: Name, as_json: options.Json = False, servers: options.Servers = None
) -> None:
    """Hand no more jobs of a queue to workers; those that run go on."""
    with options.connect(context, servers) as client:
        _show(client.queues.pause(name), as_json)


@app.command()
def resume(
    context: typer.Context, name: Name, as_json: options.Json = False, servers: options.Servers = None
) -> None:
    """End the pause of a queue."""
    with options.connect(context, servers) as client:
        _show(client.queues.resume(name), as_json)


@app.command()
def limit(
    context: typer.Context,
    name: Name,
    rate: Annotated[str | None, _limit_option("--rate", "N/D", f"Jobs begun: {_RATE}")] = None,
    concurrency: Annotated[str | None, _limit_option("--concurrency", "N", "Jobs at a time")] = None,
    key_rate: Annotated[str | None, _limit_option("--key-rate", "N/D", "The same for each key")] = None,
    key_concurrency: Annotated[
        str | None, _limit_option("--key-concurrency", "N", "The same for each key")
    ] = None,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Limit a queue; what is not named stays as it is.

    Durations: 500ms, 10s, 5m, 2h, 7d; "100/s" is 100/1s.
    """
    if rate is None and concurrency is None and key_rate is None and key_concurrency is None:
        raise typer.BadParameter("give at least one of --rate, --concurrency, --key-rate, --key-concurrency")
    with_rate = _rate(rate, "--rate")
    with_concurrency = _count(concurrency, "--concurrency")
    with_key_rate = _rate(key_rate, "--key-rate")
    with_key_concurrency = _count(key_concurrency, "--key-concurrency")
    with options.connect(context, servers) as client:
        queue = client.queues.limit(
            name,
            rate=with_rate,
            concurrency=with_concurrency,
            key_rate=with_key_rate,
            key_concurrency=with_key_concurrency,
        )
    _show(queue, as_json)


@app.command()
def purge(
    context: typer.Context, name: Name, as_json: options.Json = False, servers: options.Servers = None
) -> None:
    """Cancel all jobs of a queue that wait now; those that run go on."""
    with options.connect(context, servers) as client, waiting.busy("cancelling jobs", shown=not as_json):
        purged = client.queues.purge(name)
    if as_json:
        output.document({"queue": name, "purged": purged})
    else:
        output.line(f"{counted(purged, 'waiting job')} cancelled")


def _rate(text: str | None, option: str) -> Rate | Unchanged | None:
    if text is None:
        return UNCHANGED
    found = options.read(values.parse_rate, text, option)
    if isinstance(found, Removed):
        return None
    count, window_ms = found
    return count, timedelta(milliseconds=window_ms)


def _count(text: str | None, option: str) -> int | Unchanged | None:
    if text is None:
        return UNCHANGED
    found = options.read(values.parse_count, text, option)
    return None if isinstance(found, Removed) else found


def _show(queue: Queue, as_json: bool) -> None:
    if as_json:
        output.document(queue)
    else:
        output.table(COLUMNS, [_row(queue)], "")


def _row(queue: Queue) -> tuple[object, ...]:
    state = "paused" if queue.paused else "waits for its rate" if queue.rate_opens_at is not None else "open"
    held = "" if queue.concurrency is None else f"{queue.held}/{queue.concurrency}"
    return (
        queue.name,
        state,
        queue.scheduled,
        queue.pending,
        queue.dispatched,
        queue.running,
        _written(queue.rate, queue.rate_used),
        held,
        _written(queue.key_rate, None),
        "" if queue.key_concurrency is None else queue.key_concurrency,
    )


def _written(rate: RateLimit | None, used: int | None) -> str:
    if rate is None:
        return ""
    shown = f"{rate.count}/{format_duration(round(rate.seconds * 1_000))}"
    return shown if used is None else f"{used} of {shown}"
