"""Commands about workers: `workers list`, and `worker`, which runs one; `draining.py` has `workers drain`."""

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

import orchestrix_raft
from orchestrix_raft.cli import options, output
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.cli.status import workers_table
from orchestrix_raft.telemetry import logs

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
        raise typer.BadParameter(f"there are {', '.join(logs.LEVELS)}", param_hint="--log-level")
    found = load(target)
    try:
        found.override(
            servers=chosen,
            queues=None if queues is None else [name.strip() for name in queues.split(",") if name.strip()],
            concurrency=concurrency,
            tls=options.tls_files(),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    logs.configure(level=log_level)
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
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there; something that it imports is not: its traceback says where
        raise Failure(f"no module {error.name!r} in {here} or on the Python path") from error
    found = getattr(module, name, None)
    if not isinstance(found, orchestrix_raft.Worker):
        what = "no such name" if found is None else f"it is of type {type(found).__name__}, not a Worker"
        raise Failure(f"{target}: {what}; name the Worker object that the handlers are registered with")
    return found
