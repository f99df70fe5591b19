"""What keeps a cluster's data: backup, restore, recovery and verification, under `cluster`."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from orchestrix_raft.cli import options, output
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.client.backups import Verification
from orchestrix_raft.coordinator import renewal
from orchestrix_raft.coordinator.backup_file import BackupFile, Head
from orchestrix_raft.coordinator.option_table import BY_NAME, read_value
from orchestrix_raft.coordinator.options import OptionError
from orchestrix_raft.coordinator.renewal import Left, Renewed
from orchestrix_raft.domain.durations import parse_duration_ms
from orchestrix_raft.storage.offline import Survivor
from orchestrix_raft.storage.port import StorageError

BackupPath = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]
DataDir = Annotated[Path, typer.Option("--data-dir", metavar="DIR", help="The node's data directory.")]


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
        _check(file, as_json)
        return
    with options.connect(context, servers) as client:
        try:
            made = client.backup(file, force=force)
        except FileExistsError as error:
            raise Failure(f"{error}: name another file, or replace it with --force") from error
        except OSError as error:
            raise Failure(f"{error.filename or file}: {error.strerror or error}") from error
    if as_json:
        output.document(made)
        return
    output.line(
        f"{made.path}: index {made.index}, {_count(made.jobs)}, {made.bytes} bytes, digest {made.digest}"
    )


def _check(file: Path, as_json: bool) -> None:
    try:
        with closing(BackupFile(file)) as found:
            head = found.head
    except StorageError as error:
        raise Failure(str(error)) from error
    if as_json:
        output.document(_head_document(file, head))
        return
    output.line(
        f"{file}: whole; cluster {head.cluster_id}, made by node {head.node_id} ({head.version}) at"
        f" {output.cell(_time(head.made_ms))}; index {head.index}, {_count(head.jobs)},"
        f" {head.size} bytes, digest {head.digest.hex()}"
    )


def restore(
    file: BackupPath,
    data_dir: DataDir,
    node_id: Annotated[
        str | None, typer.Option("--node-id", metavar="ID", help="Of the new node; made up if not given.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Make the data directory of a new cluster of one from FILE; no node may run on it."""
    try:
        name = read_value(BY_NAME["node_id"], {"node_id": node_id}, {}, {}) or ""
    except OptionError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        head, made = renewal.restore(file, data_dir, name)
    except StorageError as error:
        raise Failure(str(error)) from error
    if as_json:
        output.document({"backup": _head_document(file, head), **_made_document(made)})
        return
    output.line(f"restored {file}: index {head.index}, {_count(head.jobs)}, digest {made.digest.hex()}")
    _tell(made)


def recover(
    data_dir: DataDir,
    force_new_cluster: Annotated[
        bool,
        typer.Option("--force-new-cluster", help="Do it; without this, only say what the directory holds."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """After the loss of a majority for good: make a survivor's data directory that of a new cluster of
    one."""
    try:
        survivor = Survivor(data_dir)
        with closing(survivor):
            if survivor.interrupted:
                _complete(survivor, force_new_cluster)
                return
            left = renewal.look(survivor)
            if not force_new_cluster:
                raise Failure(_held(left, data_dir))
            made, kept = renewal.recover(survivor)
    except StorageError as error:
        raise Failure(str(error)) from error
    if as_json:
        output.document({"former": _left_document(left), "kept": str(kept), **_made_document(made)})
        return
    output.line(f"recovered {data_dir} of node {left.node_id}; its former journal and state are in {kept}")
    _tell_what_is_left(left)
    _tell(made)


def _tell_what_is_left(left: Left) -> None:
    open_ones = left.last_index - left.checkpoint
    output.line(
        f"kept: its whole log, up to entry {left.last_index} of term {left.last_term}"
        f" ({output.cell(_time(left.last_wall_ms))})"
    )
    if open_ones:
        output.line(
            f"of that, the last {open_ones} entries are not known to have been acknowledged: they are kept as"
            " if they had been; whoever asked for them was at most told that the outcome is unknown"
        )
    others = ", ".join(member for member in left.members if member != left.node_id)
    if others:
        output.line(
            f"lost: whatever {others} acknowledged and this node never received; nobody can say whether there"
            " is any"
        )


def _complete(survivor: Survivor, forced: bool) -> None:
    if not forced:
        raise Failure(
            f"{survivor.path}: a recovery was cut short; complete it first, with --force-new-cluster"
        )
    kept = survivor.put_in_place()
    output.line(f"completed the recovery that was cut short; the former journal and state are in {kept}")


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
    """Let every node read all that it holds as of one log entry, and compare."""
    timeout_s = options.read(parse_duration_ms, timeout, "--timeout") / 1_000
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
        output.line(f"all {len(found.nodes)} nodes hold the same as of log index {found.index}")


def _verdict(found: Verification) -> str:
    """What is wrong, and what to do; empty: nothing."""
    holders: dict[str, list[str]] = {}
    for node in found.nodes:
        if not node.error:
            holders.setdefault(node.digest, []).append(node.node_id)
    groups = sorted(holders.values(), key=len)
    silent = ", ".join(node.node_id for node in found.nodes if node.error)
    unknown = f"; not known of {silent}" if silent else ""
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
    return f"not known of {silent}; the others hold the same as of log index {found.index}" if silent else ""


def _tell(made: Renewed) -> None:
    output.line(
        f"made a cluster of one: {made.cluster_id}, node {made.node_id}, log from index {made.first_index},"
        f" generation {made.generation}; {made.sessions} worker sessions are detached, and what they ran is"
        " run again when they expire"
    )
    output.line(f"next: orchestrix-raft node --data-dir {made.data_dir}")


def _held(left: Left, data_dir: Path) -> str:
    return (
        f"nothing was changed. {data_dir}: node {left.node_id} of cluster {left.cluster_id}"
        f" ({', '.join(left.members)}), log up to entry {left.last_index} of term {left.last_term}"
        f" ({output.cell(_time(left.last_wall_ms))}). If a majority of these nodes is lost for good: of the"
        " survivors take the one with the highest term and then the highest entry, and run this again on it"
        " with --force-new-cluster"
    )


def _count(jobs: dict[str, int]) -> str:
    unfinished = sum(jobs.get(state, 0) for state in ("scheduled", "pending", "dispatched", "running"))
    return f"{sum(jobs.values())} jobs ({unfinished} unfinished)"


def _time(ms: int) -> datetime | None:
    return datetime.fromtimestamp(ms / 1_000, UTC) if ms else None


def _head_document(file: Path, head: Head) -> dict[str, object]:
    return {
        "path": str(file),
        "cluster_id": head.cluster_id,
        "node_id": head.node_id,
        "version": head.version,
        "time": _time(head.made_ms),
        "index": head.index,
        "term": head.term,
        "generation": head.generation,
        "digest": head.digest.hex(),
        "jobs": head.jobs,
        "bytes": head.size,
    }


def _made_document(made: Renewed) -> dict[str, object]:
    return {
        **made._asdict(),
        "data_dir": str(made.data_dir),
        "digest": made.digest.hex(),
    }


def _left_document(left: Left) -> dict[str, object]:
    document = {**left._asdict(), "last_entry_at": _time(left.last_wall_ms)}
    del document["last_wall_ms"]
    return document
