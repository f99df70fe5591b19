"""What `cluster restore`, `cluster recover` and `cluster backup --check` do: on files, without a cluster."""

import getpass
import os
import socket
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import typer

from orchestrix_raft.cli import output
from orchestrix_raft.cli.backups import jobs_of
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.coordinator import renewal
from orchestrix_raft.coordinator.backup_file import BackupFile, Head
from orchestrix_raft.coordinator.option_table import BY_NAME, read_value
from orchestrix_raft.coordinator.options import OptionError
from orchestrix_raft.coordinator.renewal import Left, Renewed
from orchestrix_raft.domain.words import counted
from orchestrix_raft.storage.offline import Survivor
from orchestrix_raft.storage.port import StorageError


def check(file: Path, as_json: bool) -> None:
    """Read a backup to its end and say what it is."""
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
        f" {output.cell(_time(head.made_ms))}; index {head.index}, {jobs_of(head.jobs)},"
        f" {counted(head.size, 'byte')}, digest {head.digest.hex()}"
    )


def restore(file: Path, data_dir: Path, node_id: str | None, as_json: bool) -> None:
    """Make a data directory of a backup and say which."""
    try:
        name = read_value(BY_NAME["node_id"], {"node_id": node_id}, {}, {}) or ""
    except OptionError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        head, made = renewal.restore(file, data_dir, name, _who())
    except StorageError as error:
        raise Failure(str(error)) from error
    if as_json:
        output.document({"backup": _head_document(file, head), **_made_document(made)})
        return
    output.line(f"restored {file}: index {head.index}, {jobs_of(head.jobs)}, digest {made.digest.hex()}")
    _tell(made)


def recover(data_dir: Path, force_new_cluster: bool, as_json: bool) -> None:
    """Make a cluster of one of a survivor, or only say what it holds."""
    try:
        survivor = Survivor(data_dir)
        with closing(survivor):
            if survivor.interrupted:
                _complete(survivor, force_new_cluster)
                return
            left = renewal.look(survivor)
            if not force_new_cluster:
                raise Failure(_held(left, data_dir))
            made, kept = renewal.recover(survivor, _who())
    except StorageError as error:
        raise Failure(str(error)) from error
    if as_json:
        output.document({"former": _left_document(left), "kept": str(kept), **_made_document(made)})
        return
    output.line(f"recovered {data_dir} of node {left.node_id}; its former journal and state are in {kept}")
    _tell_what_is_left(left)
    _tell(made)


def _who() -> str:
    """Who runs this, for the audit trail, and when: the cluster's own clock stands still meanwhile."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # which one is raised for an id without a name depends on the Python
        user = f"user {os.getuid()}"
    return f"{user} on {socket.gethostname()} at {output.cell(datetime.now(UTC))}"


def _tell_what_is_left(left: Left) -> None:
    open_ones = left.last_index - left.checkpoint
    output.line(
        f"kept: its whole log, up to entry {left.last_index} of term {left.last_term}"
        f" ({output.cell(_time(left.last_wall_ms))})"
    )
    if open_ones:
        last = "entry is" if open_ones == 1 else f"{open_ones} entries are"
        output.line(
            f"of that, the last {last} not known to have been acknowledged, and kept nevertheless: whoever"
            " asked for it was told at most that the outcome is unknown"
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


def _tell(made: Renewed) -> None:
    output.line(
        f"made a cluster of one: {made.cluster_id}, node {made.node_id}, log from index {made.first_index},"
        f" generation {made.generation}; {counted(made.sessions, 'worker session')} detached:"
        " what they ran is run again when they expire"
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
