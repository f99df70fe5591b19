"""Commands about workers: `workers list`, and `worker`, which runs one; `draining.py` has `workers drain`."""

import importlib
import logging
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

import orchestrix_raft
from orchestrix_raft.cli import draining, options, output
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.cli.status import workers_table
from orchestrix_raft.telemetry import logs

_log = logging.getLogger("orchestrix_raft.worker")

app = typer.Typer(help="Look at worker processes.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _servers(context: typer.Context, servers: options.Servers = None) -> None:
    options.remember_servers(context, servers)


@app.command("list")
def list_workers(
    context: typer.Context, as_json: options.Json = False, servers: options.Servers = None
) -> None:
    """List worker processes with their queues and slots."""
    with options.connect(context, servers) as client:
        workers = client.status().workers
    if as_json:
        output.document({"workers": workers})
    else:
        workers_table(workers)


app.command("drain")(draining.drain_worker)


def worker(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="MODULE:NAME", help="Where the Worker object is.")],
    queues: Annotated[
        str | None, typer.Option("--queues", metavar="A,B", help="Instead of the object's own.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", metavar="N", min=1, help="Instead of the object's own.")
    ] = None,
    log_level: Annotated[
        str, typer.Option("--log-level", metavar="|".join(logs.LEVELS), help="Of the least important line.")
    ] = "info",
    servers: options.Servers = None,
) -> None:
    """Run the Worker object NAME of MODULE until SIGTERM or Ctrl-C, then drain."""
    chosen = options.named_servers(context, servers)
    if log_level not in logs.LEVELS:
        raise typer.BadParameter(
            f"{log_level[:40]!r} is none of {', '.join(logs.LEVELS)}", param_hint="--log-level"
        )
    names = options.read_optional(_queue_names, queues, "--queues")
    tls = options.tls_files(context)
    found = load(target)
    try:
        found.override(servers=chosen, queues=names, concurrency=concurrency, tls=tls)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    logs.configure(level=log_level)
    _log.info(
        "worker %s serves queues %s with handlers for %s",
        found.name,
        ", ".join(found.queues),
        ", ".join(found.types),
    )
    found.run()


def load(target: str) -> "orchestrix_raft.Worker":
    """The Worker object that MODULE:NAME names; modules of the current directory count too."""
    module_name, colon, name = target.partition(":")
    if not colon or not module_name or not name:
        raise typer.BadParameter(
            f"{target!r} is not MODULE:NAME, such as my_jobs:worker", param_hint="MODULE:NAME"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    module = _imported(module_name, here)
    found = getattr(module, name, None)
    if isinstance(found, orchestrix_raft.Worker):
        if not found.types:  # it would take jobs and fail every one of them
            raise Failure(f"{target} has no handlers: put @{name}.job before a function in {module_name}")
        return found
    what = "no such name" if found is None else f"it is of type {type(found).__name__}, not a Worker"
    there = [known for known, value in vars(module).items() if isinstance(value, orchestrix_raft.Worker)]
    if there:
        raise Failure(f"{target}: {what}; Workers in {module_name}: {', '.join(there)}")
    raise Failure(f"{target}: {what}; name the Worker object that the handlers are registered with")


def _imported(module_name: str, here: str) -> ModuleType:
    """The user's module; Failure with the place in the user's files where its import fails."""
    try:
        return importlib.import_module(module_name)
    except SyntaxError as error:
        raise Failure(
            f"cannot import {module_name}: {error.filename}, line {error.lineno}: {error.msg}"
        ) from error
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise Failure(f"no module {error.name!r} in {here} or on the Python path") from error
        raise Failure(f"cannot import {module_name}: {_told(error, here)}") from error
    except Exception as error:  # of any kind: it is the user's code that runs here
        raise Failure(f"cannot import {module_name}: {_told(error, here)}") from error


def _told(error: Exception, here: str) -> str:
    """An exception with its place: the last line of the user's own files that led to it, or else the last."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename[:1] != "<"]
    # The first two are this module's and importlib's.
    led = [frame for frame in frames if frame.filename not in (__file__, importlib.__file__)]
    own = [
        frame for frame in led if frame.filename.startswith(here) and "site-packages" not in frame.filename
    ]
    place = "".join(f"{frame.filename}, line {frame.lineno}: " for frame in (own or led)[-1:])
    return f"{place}{type(error).__name__}: {error}"


def _queue_names(text: str) -> list[str]:
    """The names between the commas; ValueError for one that no queue can have."""
    return [options.queue_name(name.strip()) for name in text.split(",") if name.strip()]
