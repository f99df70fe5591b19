"""Options that several commands share, and how their text becomes values or a refusal."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Final, TypeVar

import typer

from orchestrix_raft import Client, RetryPolicy
from orchestrix_raft.cli import values
from orchestrix_raft.client.model import RETRY_PRESETS
from orchestrix_raft.domain.ids import parse_job_id
from orchestrix_raft.wire.transport import DEFAULT_SERVERS, TlsFiles, check_tls, parse_servers

SERVERS_VARIABLE: Final = "ORCHESTRIX_SERVERS"
PATIENCE_S: Final = 6.0  # a node holds a call for 5 s while there is no leader; then a person wants to know

Value = TypeVar("Value")

Servers = Annotated[
    str | None,
    typer.Option(
        "--servers",
        metavar="A,B,C",
        help=f"Nodes to ask, HOST:PORT each. [env: {SERVERS_VARIABLE}; default: {DEFAULT_SERVERS}]",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def _checked(parse: Callable[[str], object]) -> Callable[[str | None], str | None]:
    """A callback that lets through what `parse` accepts."""

    def check(text: str | None) -> str | None:
        if text is not None:
            try:
                parse(text)
            except ValueError as error:
                raise typer.BadParameter(str(error)) from error
        return text

    return check


def checked_value(parse: Callable[[], object], text: str) -> str:
    """`text` if `parse` accepts it; its ValueError becomes wrong usage."""
    try:
        parse()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text


JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.", callback=_checked(parse_job_id))]
NewJobId = Annotated[
    str | None,
    typer.Option(
        "--id", metavar="UUID", help="Twice the same id is one job.", callback=_checked(parse_job_id)
    ),
]
State = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar="S",
        help=f"One of {', '.join(values.STATES)}.",
        callback=_checked(values.parse_state),
    ),
]


def remember_servers(context: typer.Context, servers: str | None) -> None:
    """What `--servers` said before the command's name; the command may say otherwise."""
    if servers is not None:
        context.ensure_object(dict)["servers"] = servers


def choose_servers(context: typer.Context, servers: str | None) -> tuple[str, ...]:
    """The nodes to ask: after the command, before it, from the environment, or the default."""
    earlier = context.obj.get("servers") if isinstance(context.obj, dict) else None
    if servers is not None or earlier is not None:
        return read(parse_servers, servers or earlier or "", "--servers")
    return read(parse_servers, os.environ.get(SERVERS_VARIABLE) or DEFAULT_SERVERS, SERVERS_VARIABLE)


def named_servers(context: typer.Context, servers: str | None) -> tuple[str, ...] | None:
    """Like `choose_servers`, but None where nobody named any."""
    earlier = context.obj.get("servers") if isinstance(context.obj, dict) else None
    if servers is None and earlier is None and not os.environ.get(SERVERS_VARIABLE):
        return None
    return choose_servers(context, servers)


@contextmanager
def connect(context: typer.Context, servers: str | None) -> Iterator[Client]:
    """A client of the nodes that were named, closed at the end."""
    with Client(choose_servers(context, servers), deadline=PATIENCE_S, tls=tls_files()) as client:
        yield client


def tls_files() -> TlsFiles | None:
    """The PEM files named in the environment; None: no TLS."""
    names = [f"ORCHESTRIX_TLS_{part}" for part in ("CA", "CERT", "KEY")]
    for name in names:
        path = os.environ.get(name)
        if path and not os.access(path, os.R_OK):
            raise typer.BadParameter(f"cannot read {path}", param_hint=name)
    files = TlsFiles(*(os.environ.get(name, "") for name in names))
    try:
        return check_tls(files if any(files) else None)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=", ".join(names)) from error


def retry_policy(preset: str | None, max_retries: int | None) -> RetryPolicy | None:
    """What `--retry` and `--max-retries` said; None: nothing."""
    if preset is None and max_retries is None:
        return None
    if preset is not None and preset not in RETRY_PRESETS:
        raise typer.BadParameter(f"{preset!r} is none of {', '.join(RETRY_PRESETS)}", param_hint="--retry")
    return RetryPolicy(preset=preset or "default", max_retries=max_retries)


def read(parse: Callable[[str], Value], text: str, option: str) -> Value:
    """`parse(text)`; its ValueError becomes wrong usage of `option`."""
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def read_optional(parse: Callable[[str], Value], text: str | None, option: str) -> Value | None:
    """The same for an option that may be left out."""
    return None if text is None else read(parse, text, option)
