"""Options that several commands share, and how their text becomes values or a refusal."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

import orchestrix_raft
from orchestrix_raft.cli import values
from orchestrix_raft.domain import names
from orchestrix_raft.domain.ids import parse_job_id
from orchestrix_raft.wire.endpoint import DEFAULT_SERVERS, TlsFiles, check_tls, parse_servers

if TYPE_CHECKING:
    from orchestrix_raft import Client

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


def checked(parse: Callable[[str], object]) -> Callable[[str | None], str | None]:
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


def not_empty(text: str) -> str:
    """`text`; ValueError if there is none: a variable that is not set must not mean all, or any."""
    if not text:
        raise ValueError("it is empty: name one, or leave the option out")
    return text


def given(text: str) -> str:
    """`text`; ValueError if there is none: a variable that is not set must not become somebody's id."""
    if not text:
        raise ValueError("it is empty: name one")
    return text


def queue_name(text: str) -> str:
    """`text` if a queue can be called that; else ValueError."""
    if fault := names.fault_in_queue(text):
        raise ValueError(fault)
    return text


def type_name(text: str) -> str:
    """The same for a type of jobs."""
    if fault := names.fault_in_type(text):
        raise ValueError(fault)
    return text


def schedule_id(text: str) -> str:
    """The same for a schedule."""
    if fault := names.fault_in_schedule_id(text):
        raise ValueError(fault)
    return text


def path(text: str) -> Path:
    """For `parser=`: a path.  Wrong usage if there is none: it would mean the current directory."""
    try:
        return Path(given(text))
    except ValueError as error:  # typer would drop its words
        raise typer.BadParameter(str(error)) from error


def one_of(words: Iterable[str]) -> Callable[[str | None], str | None]:
    """A callback that lets these words through."""
    known = tuple(words)

    def check(text: str) -> str:
        if text not in known:
            raise ValueError(f"{text[:40]!r} is none of {', '.join(known)}")
        return text

    return checked(check)


def _queue_filter(text: str) -> str:
    return queue_name(not_empty(text))


def _type_filter(text: str) -> str:
    return type_name(not_empty(text))


OfQueue = Annotated[
    str | None,
    typer.Option("--queue", metavar="Q", help="Only jobs of this queue.", callback=checked(_queue_filter)),
]
OfType = Annotated[
    str | None,
    typer.Option("--type", metavar="T", help="Only jobs of this type.", callback=checked(_type_filter)),
]
TypeName = Annotated[
    str,
    typer.Argument(
        metavar="TYPE",
        help="What a worker's handler is named.",
        callback=checked(type_name),
    ),
]
Timezone = Annotated[
    str | None,
    typer.Option("--timezone", metavar="Z", help="IANA name. [default: UTC]", callback=checked(not_empty)),
]
_KEY_HELP: Final = "For the limits per key of the queue."
Key = Annotated[
    str | None,
    typer.Option("--key", metavar="K", help=_KEY_HELP, callback=checked(not_empty)),
]
KeyOrNone = Annotated[str | None, typer.Option("--key", metavar="K", help=_KEY_HELP)]
"""An empty one takes the key away."""
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.", callback=checked(parse_job_id))]
NewJobId = Annotated[
    str | None,
    typer.Option(
        "--id", metavar="UUID", help="Twice the same id is one job.", callback=checked(parse_job_id)
    ),
]
State = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar="S",
        help=f"One of {', '.join(values.STATES)}.",
        callback=checked(values.parse_state),
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
def connect(context: typer.Context, servers: str | None) -> "Iterator[Client]":
    """A client of the nodes that were named, closed at the end."""
    chosen, tls = choose_servers(context, servers), tls_files(context)
    with orchestrix_raft.Client(chosen, deadline=PATIENCE_S, tls=tls) as client:
        yield client


# ---- TLS


def _remember_tls(context: typer.Context, parameter: typer.CallbackParam, path: str | None) -> str | None:
    """Kept with the whole command line: the flags go before or after the command's name."""
    if path is not None:
        context.find_root().ensure_object(dict)[parameter.name] = path
    return path


def _tls_option(part: str, text: str) -> Any:
    return typer.Option(
        f"--tls-{part}",
        metavar="FILE",
        help=f"PEM: {text}. [env: ORCHESTRIX_TLS_{part.upper()}]",
        callback=_remember_tls,
    )


TlsCa = Annotated[str | None, _tls_option("ca", "the authority that signed for the nodes")]
TlsCert = Annotated[str | None, _tls_option("cert", "who this is")]
TlsKey = Annotated[str | None, _tls_option("key", "its private key")]


def tls_parameters() -> list[Any]:
    """The same three for a command whose function does not have them; its help leaves them out, because that
    of the program has them."""

    def model(tls_ca: TlsCa = None, tls_cert: TlsCert = None, tls_key: TlsKey = None) -> None:
        """Its parameters count."""

    alone = typer.Typer(add_completion=False)
    alone.command()(model)
    parameters = typer.main.get_command(alone).params
    for parameter in parameters:
        parameter.hidden = True  # type: ignore[attr-defined]  # of options, and these are
        parameter.expose_value = False
    return parameters


def tls_files(context: typer.Context) -> TlsFiles | None:
    """The PEM files named by flags or else in the environment; None: no TLS."""
    root = context.find_root().obj
    flags = root if isinstance(root, dict) else {}
    paths = []
    called = []
    for part in ("ca", "cert", "key"):
        path = flags.get(f"tls_{part}")
        called.append(f"ORCHESTRIX_TLS_{part.upper()}" if path is None else f"--tls-{part}")
        paths.append(os.environ.get(called[-1], "") if path is None else path)
        if paths[-1] and not os.access(paths[-1], os.R_OK):
            raise typer.BadParameter(f"cannot read {paths[-1]}", param_hint=called[-1])
    files = TlsFiles(*paths)
    try:
        return check_tls(files if any(files) else None)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=", ".join(called)) from error


# ---- values


def read(parse: Callable[[str], Value], text: str, option: str) -> Value:
    """`parse(text)`; its ValueError becomes wrong usage of `option`."""
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def read_optional(parse: Callable[[str], Value], text: str | None, option: str) -> Value | None:
    """The same for an option that may be left out."""
    return None if text is None else read(parse, text, option)
