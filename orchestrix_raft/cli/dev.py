"""`dev`: one node and the example worker, started and ended together, for a first look."""

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer

from orchestrix_raft import Client, OrchestrixError
from orchestrix_raft.cli import options, output
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.coordinator.option_table import BY_NAME, OptionError, read_value
from orchestrix_raft.wire.endpoint import DEFAULT_SERVERS, parse_servers

START_S: Final = 20.0
LOOK_S: Final = 1.0  # for the answer of a node that may have ended meanwhile
STOP_S: Final = 15.0
TRY_S: Final = 0.1

Child = subprocess.Popen[bytes]


def dev(
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where the node listens.")
    ] = DEFAULT_SERVERS,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            parser=options.path,
            help="Keep the data there. [default: forgotten at the end]",
        ),
    ] = None,
) -> None:
    """Start one node and an example worker, to try things out; Ctrl-C ends both.

    The worker knows jobs of the types `echo`, `sleep` and `checksum`.
    """
    addresses = options.read(parse_servers, listen, "--listen")
    if len(addresses) > 1:
        raise typer.BadParameter("one node listens at one address", param_hint="--listen")
    (address,) = addresses
    _check_free(address)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with ExitStack() as stack:
            directory = data_dir or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestrix-"))
            )
            run(stack, address, directory)
    except KeyboardInterrupt:
        output.line("\nstopped")


def _check_free(address: str) -> None:
    """Failure if another program has one of the node's ports: it might be a node, which would answer in the
    place of ours."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    for number in (int(port), int(port) + _peer_port_offset()):
        try:
            socket.create_server((host.strip("[]"), number), family=family).close()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Failure(
                    f"port {number} of {host} is in use (a node is running already?): end that program, or"
                    " choose another port with --listen HOST:PORT"
                ) from error
        except OverflowError:
            return  # there is no such port, as the node will say


def _peer_port_offset() -> int:
    """As the node will understand it: an option that `dev` does not have can be set in the environment."""
    try:
        return int(read_value(BY_NAME["peer_port_offset"], {}, os.environ, {}))
    except OptionError as error:
        raise typer.BadParameter(str(error)) from error


def run(stack: ExitStack, address: str, directory: Path) -> None:
    """Node first, worker second; ends with Failure when one of them does.  The stack ends the rest, the
    worker before the node."""
    node = _start(stack, 0, "node", "--listen", address, "--data-dir", str(directory))
    _await_leader(node, address)
    worker = _start(
        stack, node.pid, "worker", "orchestrix_raft.cli.example_worker:worker", "--servers", address
    )
    _say_what_next(address, directory)
    while True:
        for name, child in (("node", node), ("worker", worker)):
            if _ended(child):
                raise Failure(f"the {name} ended with exit code {child.returncode}; its last lines say why")


def _start(stack: ExitStack, group: int, *arguments: str) -> Child:
    """A child in the process group `group` (0: a new one).  Ctrl-C reaches this process only, which then ends
    the children in order: a node that ended first would leave the worker looking for it."""
    command = [sys.executable, "-m", "orchestrix_raft", *arguments]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=group)
    stack.callback(_stop, child)
    return child


def _ended(child: Child) -> bool:
    """Whether it is over, looking for a moment."""
    try:
        child.wait(TRY_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _await_leader(node: Child, address: str) -> None:
    until = time.monotonic() + START_S
    with Client(address, deadline=LOOK_S) as client:
        while not _leads(client):
            if _ended(node):
                if node.returncode > 0:
                    raise typer.Exit(node.returncode)  # its own line has said why
                raise Failure(f"the node did not start: it was ended by signal {-node.returncode}")
            if time.monotonic() > until:
                raise Failure(f"the node did not lead within {START_S:g} s")


def _leads(client: Client) -> bool:
    try:
        return bool(client.status().leader)
    except OrchestrixError:
        return False


def _say_what_next(address: str, directory: Path) -> None:
    servers = "" if address == DEFAULT_SERVERS else f" --servers {address}"
    output.line(
        f"a node at {address} (data in {directory}) and an example worker are running; in another terminal:\n"
    )
    for command in (
        "status",
        """enqueue echo --args '{"hello": "world"}' --wait""",
        """enqueue sleep --args '{"seconds": 20}'""",
        """enqueue checksum --args '{"path": "/etc/hosts"}' --wait""",
        "jobs list",
    ):
        output.line(f"  orchestrix-raft {command}{servers}")
    output.line("\nCtrl-C here ends both.")


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stop(child: Child) -> None:
    """End a child in order, or after a while by force.  A second Ctrl-C must not leave it behind."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(STOP_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()
