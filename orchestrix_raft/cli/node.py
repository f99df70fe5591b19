"""`node`: the composition root.  Options become a process with storage, consensus, core and API around it."""

import asyncio
import difflib
import inspect
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from orchestrix_raft.api.errors import ApiError
from orchestrix_raft.api.server import ApiServer
from orchestrix_raft.cli.options import SERVERS_VARIABLE
from orchestrix_raft.cli.output import FAILED, Failure
from orchestrix_raft.consensus.port import SafetyFault
from orchestrix_raft.coordinator.first_start import Removed, StartError
from orchestrix_raft.coordinator.listening import LinkError
from orchestrix_raft.coordinator.option_table import ENV_PREFIX, OPTIONS, Kind, Option, read_value
from orchestrix_raft.coordinator.options import NodeOptions, OptionError, read_config, resolve
from orchestrix_raft.coordinator.port import Door
from orchestrix_raft.coordinator.process import Process
from orchestrix_raft.coordinator.starts import Superseded
from orchestrix_raft.coordinator.tls import TlsError
from orchestrix_raft.machine.rules import TooOld
from orchestrix_raft.storage.port import StorageError
from orchestrix_raft.telemetry import logs
from orchestrix_raft.telemetry.loop_lag import LoopLag
from orchestrix_raft.telemetry.metrics import Registry
from orchestrix_raft.wire.transport import TlsFiles, new_event_loop

log = logging.getLogger(__name__)

NOT_YET: Final = frozenset({"dashboard"})
"""Options of the table that nothing stands behind yet: refused instead of ignored."""

STOPPED: Final = (StartError, StorageError, LinkError, TlsError, ApiError, SafetyFault, Superseded, TooOld)
"""Why a node cannot start or go on: each says it in one line."""

REMOVED: Final = 3
"""Exit code of a node that was removed from its cluster."""

LOG_OPTIONS: Final = (
    Option(
        "log_format", Kind.WORD, "text", f"of the lines on stderr: {' or '.join(logs.FORMATS)}", logs.FORMATS
    ),
    Option(
        "log_level", Kind.WORD, "info", f"of the least important line: {', '.join(logs.LEVELS)}", logs.LEVELS
    ),
)
SHOWN: Final = tuple(option for option in OPTIONS if option.name not in NOT_YET) + LOG_OPTIONS
"""What `node --help` and the reference list."""

_OF_KUBERNETES: Final = re.compile(r"[^=]*_(SERVICE_(HOST|PORT\w*)=|PORT_\d+_\w+=|PORT=\w+://)").match
"""What Kubernetes sets in every container for a service whose name begins like our variables."""

_CONFIG: Final = Option(
    "config", Kind.PATH, None, "a TOML file that sets any of these (data_dir for --data-dir)"
)


def node(**flags: Any) -> None:
    """Run a coordinator node until SIGTERM or Ctrl-C.

    Without --peers: a cluster of one on 127.0.0.1:7400.  Every option can also be set in the environment
    (ORCHESTRIX_DATA_DIR for --data-dir) or in the file of --config (data_dir = "..."); flags win over the
    environment, that over the file.
    """
    try:
        options = _options(flags, os.environ)
    except OptionError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_run(options))
    except STOPPED as error:
        raise Failure(str(error), _exit_code(error)) from error


def _exit_code(error: Exception) -> int:
    """For whoever starts nodes again when they end, such as the units under deploy/."""
    return REMOVED if isinstance(error, Removed) else FAILED


async def _run(options: NodeOptions) -> None:
    """The node's life, with an eye on the loop that everything in it shares."""
    registry = Registry()
    lag = LoopLag(registry)
    process = Process(options, lambda door: _api(door, options), registry)
    lag.start()
    try:
        await process.run()
    finally:
        lag.stop()
        if process.served:  # else it has a line that says why it could not start, and nothing to sum up
            log.info("the node ends", extra=registry.values())


def _options(flags: Mapping[str, object], env: Mapping[str, str]) -> NodeOptions:
    """Checked options; logging is set up on the way.  OptionError for what cannot be meant."""
    path: Path | None = read_value(_CONFIG, flags, env, {})
    toml = read_config(path) if path is not None else {}
    form, level = (read_value(option, flags, env, toml) for option in LOG_OPTIONS)
    logs.configure(form, level)
    for words in unknown_variables(env):
        log.warning("%s", words)
    of_logs = {option.name for option in LOG_OPTIONS}
    options = resolve(flags, env, {key: value for key, value in toml.items() if key not in of_logs})
    for name in NOT_YET:
        if getattr(options, name) is not None:
            raise OptionError(f"{name} is not there yet: leave it out")
    return options


def unknown_variables(env: Mapping[str, str]) -> list[str]:
    """A line for each variable that looks like an option of a node and is none."""
    known = [option.env for option in (*OPTIONS, *LOG_OPTIONS, _CONFIG)] + [SERVERS_VARIABLE]
    lines = []
    for name in sorted(env):
        if name.startswith(ENV_PREFIX) and name not in known and not _OF_KUBERNETES(f"{name}={env[name]}"):
            ends = [one.removeprefix(ENV_PREFIX) for one in known]  # all begin alike
            near = difflib.get_close_matches(name.removeprefix(ENV_PREFIX), ends, 1)
            hint = f": did you mean {ENV_PREFIX}{near[0]}?" if near else ""
            lines.append(f"{name} is set in the environment and means nothing to a node{hint}")
    return lines


def _api(door: Door, options: NodeOptions) -> ApiServer:
    """The API; under TLS a caller must show a certificate of the same authority, as nodes do."""
    files = options.tls
    if files is None:
        return ApiServer(door)
    return ApiServer(door, TlsFiles(ca=str(files.ca), cert=str(files.cert), key=str(files.key)))


def _parameter(option: Option) -> inspect.Parameter:
    """A row of the table as a parameter that typer understands."""
    default = "" if option.default is None else f" [default: {option.default}]"
    info: Any = typer.Option(
        option.flag, metavar=option.kind.value or None, help=option.why + default, show_default=False
    )
    kind: Any = bool if option.kind is Kind.SWITCH else str
    return inspect.Parameter(
        option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, info]
    )


_PARAMETERS = [_parameter(option) for option in (*SHOWN, _CONFIG)]
node.__signature__ = inspect.Signature(_PARAMETERS)  # type: ignore[attr-defined]
node.__annotations__ = {parameter.name: parameter.annotation for parameter in _PARAMETERS}
