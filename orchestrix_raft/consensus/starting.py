"""Joining the journal and the checkpoint when a node starts.

Whatever a crash may have left is either completed here (a snapshot that was installed while the log had
not yet been started anew) or refused with what is missing.  Nothing is ever cleared on a guess.
"""

from typing import NamedTuple

from orchestrix_raft.consensus import rules
from orchestrix_raft.consensus.configuration import Configuration, ConfiguredLog, Placed, placed
from orchestrix_raft.consensus.port import SafetyFault
from orchestrix_raft.storage.port import Journal, Position


class Start(NamedTuple):
    """Where the state stands."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody wants here
    term: int


FIRST = Start(1, 0)
"""The empty state: the base of an empty log."""


def join_log_and_checkpoint(
    node_id: str,
    disk_id: str,
    journal: Journal,
    position: Position | None,
    bootstrap: Configuration | None,
) -> tuple[ConfiguredLog, Start]:
    """The log with its configuration, and where applying goes on.  SafetyFault: see the message."""
    if bootstrap is not None and not bootstrap.lists(node_id, disk_id):
        raise SafetyFault(
            f"the starting list does not name {node_id} with disk {disk_id}: a node that lost its disk must "
            "join under a new id"
        )
    base = _configuration_below(position, bootstrap)
    if position is not None and rules.journal_is_older(journal.term, position.term):
        raise SafetyFault(
            f"the journal stands in term {journal.term} but the checkpoint was made in term {position.term}: "
            "the journal, and with it votes, was lost"
        )
    missing = rules.missing_entries(journal.first_index, position.index if position else None)
    if missing is not None:
        raise SafetyFault(missing)
    log = ConfiguredLog(journal, base)
    if position is None:
        return log, FIRST
    if not rules.suffix_matches(log, position.index, position.term):
        log.install(position.index, position.term, base, keep_suffix=False)
        journal.flush()
    return log, Start(position.index, position.term)


def _configuration_below(position: Position | None, bootstrap: Configuration | None) -> Placed:
    if position is not None and position.configuration:
        return placed(position.configuration_index, position.configuration)
    return Placed(0, bootstrap)
