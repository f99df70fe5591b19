"""What `cluster restore` and `cluster backup --check` do: on files, without a cluster.

`recovery` has `cluster recover`."""

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
from orchestrix_raft.coordinator.renewal import Renewed
from orchestrix_raft.domain.words import counted
from orchestrix_raft.storage.offline import half_made
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
        f" {output.cell(time_of(head.made_ms))}; index {head.index}, {jobs_of(head.jobs)},"
        f" {counted(file.stat().st_size, 'byte')}, digest {head.digest.hex()}"
    )


def restore(file: Path, data_dir: Path, node_id: str | None, as_json: bool) -> None:
    """Make a data directory of a backup and say which."""
    try:
        name = read_value(BY_NAME["node_id"], {"node_id": node_id}, {}, {}) or ""
    except OptionError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        left = half_made(data_dir)
        head, made = renewal.restore(file, data_dir, name, who())
    except StorageError as error:
        raise Failure(str(error)) from error
    if as_json:
        output.document({"backup": _head_document(file, head), **made_document(made)})
        return
    if left:
        output.line(f"removed from {data_dir} what an earlier restore that was cut short had left")
    output.line(f"restored {file}: index {head.index}, {jobs_of(head.jobs)}, digest {made.digest.hex()}")
    tell(made)


def who() -> str:
    """Who runs this, for the audit trail, and when: the cluster's own clock stands still meanwhile."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # which one is raised for an id without a name depends on the Python
        user = f"user {os.getuid()}"
    return f"{user} on {socket.gethostname()} at {output.cell(datetime.now(UTC))}"


def tell(made: Renewed) -> None:
    """What was made, and what comes next."""
    output.line(
        f"made a cluster of one: {made.cluster_id}, node {made.node_id}, log from index {made.first_index},"
        f" generation {made.generation}; {counted(made.sessions, 'worker session')} detached:"
        " what they ran is run again when they expire"
    )
    output.line(f"next: orchestrix-raft node --data-dir {made.data_dir}")


def time_of(ms: int) -> datetime | None:
    """Of Unix milliseconds; None for 0."""
    return datetime.fromtimestamp(ms / 1_000, UTC) if ms else None


def _head_document(file: Path, head: Head) -> dict[str, object]:
    return {
        "path": str(file),
        "cluster_id": head.cluster_id,
        "node_id": head.node_id,
        "version": head.version,
        "time": time_of(head.made_ms),
        "index": head.index,
        "term": head.term,
        "generation": head.generation,
        "digest": head.digest.hex(),
        "jobs": head.jobs,
        "bytes": file.stat().st_size,
        "state_bytes": head.size,
    }


def made_document(made: Renewed) -> dict[str, object]:
    """What was made, for JSON."""
    return {
        **made._asdict(),
        "data_dir": str(made.data_dir),
        "digest": made.digest.hex(),
    }
