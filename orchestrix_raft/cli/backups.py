"""What keeps a cluster's data: backup, restore, recovery and verification, under `cluster`.

What works on files alone is in `offline`, which is imported only when it is used: it needs what nodes need.
"""

import errno
import importlib
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from orchestrix_raft.cli import options, output
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.client.backups import Verification
from orchestrix_raft.domain.durations import parse_duration_ms
from orchestrix_raft.domain.words import counted

BackupPath = Annotated[Path, typer.Argument(metavar="FILE", parser=options.path, help="The backup.")]
DataDir = Annotated[
    Path, typer.Option("--data-dir", metavar="DIR", parser=options.path, help="The node's data directory.")
]


def backup(
    context: typer.Context,
    file: BackupPath,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Make none: read FILE and say whether it is whole.")
    ] = False,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Write everything that the cluster holds to FILE, while it goes on."""
    if check:
        _offline().check(file, as_json)
        return
    with options.connect(context, servers) as client:
        try:
            made = client.backup(file, force=force)
        except FileExistsError as error:
            raise Failure(f"{error}: name another file, or replace it with --force") from error
        except OSError as error:
            raise Failure(_why_not_written(error, file)) from error
    if as_json:
        output.document(made)
        return
    for name in made.removed:
        output.line(f"removed {name}, which an earlier backup that was cut short had left")
    size = counted(made.bytes, "byte")
    output.line(f"{made.path}: index {made.index}, {jobs_of(made.jobs)}, {size}, digest {made.digest}")


def _why_not_written(error: OSError, file: Path) -> str:
    """One line with what to do, for the file system's usual refusals."""
    system = error.strerror or str(error)
    place = Path(error.filename or file)
    if error.errno == errno.ENOENT and place.is_dir():  # such as /proc, which only the system fills
        return f"{place}: no file can be made there: name another place"
    match error.errno:
        case errno.ENOENT:
            return f"{error.filename or file}: there is no such directory: make it first"
        case errno.EISDIR:
            return f"{file} is a directory: name a file in it, such as {file / 'backup'}"
        case errno.EINVAL:
            return f"{error.filename or file}: {system}: name another place"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"{error.filename or file}: this user cannot write there ({system}): name another place"
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return f"{error.filename or file}: no room for the backup ({system}): nothing is left of it"
        case _:
            return f"{error.filename or file}: {system}"


def restore(
    file: BackupPath,
    data_dir: DataDir,
    node_id: Annotated[
        str | None, typer.Option("--node-id", metavar="ID", help="Of the new node; made up if not given.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Make the data directory of a new cluster of one from FILE; no node may run on it."""
    _offline().restore(file, data_dir, node_id, as_json)


def recover(
    context: typer.Context,
    data_dir: DataDir,
    force_new_cluster: Annotated[
        bool,
        typer.Option("--force-new-cluster", help="Do it; without this, only say what would be done."),
    ] = False,
    despite_majority: Annotated[
        bool,
        typer.Option(
            "--despite-majority",
            help="Also if no majority is lost: of a copy, or of a disk that was set back to an earlier time.",
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """After the loss of a majority for good: make a survivor's data directory that of a new cluster of
    one.

    Without --force-new-cluster it changes nothing and prints a report; that is exit code 0. It asks the other
    members how they are; as long as the cluster works, or if this is its only member, nothing is to be
    recovered, and it is refused.
    """
    wish = (force_new_cluster, despite_majority, as_json, options.tls_files(context))
    recovery = importlib.import_module("orchestrix_raft.cli.recovery")
    recovery.recover(data_dir, recovery.Wish(*wish))


def verify(
    context: typer.Context,
    timeout: Annotated[
        str,
        typer.Option(
            "--timeout", metavar="D", help="For a node to read all that it holds.", show_default=True
        ),
    ] = "5m",
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Let every node read all that it holds as of one log entry, and compare.

    Exit code 0: every node has answered, and all hold the same; else 1, and the last line says which nodes
    hold other data and which did not answer.
    """
    timeout_s = options.read(_patience_ms, timeout, "--timeout") / 1_000
    with options.connect(context, servers) as client:
        found = client.verify(timeout=timeout_s)
    if as_json:
        output.document(found)
    else:
        rows = [
            (node.node_id, node.address, node.digest or "-", node.rows, node.bytes, node.error or "read")
            for node in found.nodes
        ]
        output.table(("node", "address", "digest", "rows", "bytes", "result"), rows, "no nodes")
    verdict = _verdict(found)
    if verdict:
        raise Failure(verdict)
    if not as_json:
        nodes = counted(len(found.nodes), "node")
        output.line(f"{nodes} asked, all hold the same as of log index {found.index}")


def _patience_ms(text: str) -> int:
    duration_ms = parse_duration_ms(text)
    if not duration_ms:
        raise ValueError("no node reads anything in no time: write more than 0s")
    return duration_ms


def _verdict(found: Verification) -> str:
    """What is wrong, and what to do; empty: nothing."""
    holders: dict[str, list[str]] = {}
    for node in found.nodes:
        if not node.error:
            holders.setdefault(node.digest, []).append(node.node_id)
    groups = sorted(holders.values(), key=len)
    silent = ", ".join(found.unanswered)
    unknown = f"; no answer from {silent}" if silent else ""
    if len(groups) > 1 and len(groups[-1]) > len(groups[-2]):
        odd = ", ".join(name for group in groups[:-1] for name in group)
        return (
            f"{odd} holds other data than {', '.join(groups[-1])} as of log index {found.index}: stop it,"
            f" keep its data directory for a report, and replace it{unknown}"
        )
    if len(groups) > 1:
        return (
            f"the nodes hold different data as of log index {found.index}, none is in the majority{unknown}"
        )
    if not silent:
        return ""
    again = "ask again when they run, or remove those that are gone"
    if found.agree is None:
        return f"no answer from {silent}: there was nothing to compare; {again}"
    same = ", ".join(groups[0])
    return f"no difference between {same} as of log index {found.index}, but no answer from {silent}: {again}"


def jobs_of(jobs: dict[str, int]) -> str:
    """How many, and how many of them are not finished."""
    unfinished = sum(jobs.get(state, 0) for state in ("scheduled", "pending", "dispatched", "running"))
    return f"{counted(sum(jobs.values()), 'job')} ({unfinished} unfinished)"


def _offline() -> ModuleType:
    return importlib.import_module("orchestrix_raft.cli.offline")
