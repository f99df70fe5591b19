"""What a node makes of its journal and its checkpoint when it starts."""

from orchestrix_raft.consensus.configuration import Configuration, ConfiguredLog, Member, Standing
from orchestrix_raft.consensus.starting import Start, join_log_and_checkpoint
from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.storage.port import Entry, Position

LISTED = Configuration({"n1": Member(Standing.VOTER, "d1")})
LATER = Configuration({"n1": Member(Standing.VOTER, "d1"), "n2": Member(Standing.VOTER, "d2")}, 5, "add:n2")


def joined(disk: MemoryDisk, position: Position) -> tuple[ConfiguredLog, Start]:
    return join_log_and_checkpoint("n1", "d1", disk.open_journal(), position, LISTED)


def with_entries(last_index: int) -> MemoryDisk:
    """A disk with a log of term 1, whose node has heard of term 2."""
    disk = MemoryDisk("d1")
    journal = disk.open_journal()
    for index in range(2, last_index + 1):
        journal.append(Entry(b"\x02a", index, 1))
    journal.set_term(2, None)
    journal.flush()
    disk.crash()
    return disk


def test_a_log_that_contradicts_the_checkpoint_is_begun_anew_and_on_disk_before_anything_else() -> None:
    disk = with_entries(10)
    log, start = joined(disk, Position(8, 2, 6, LATER.encode(), b""))
    assert start == Start(8, 2)
    assert (log.first_index, log.last_index, log.last_term) == (8, 8, 2)
    disk.crash()
    journal = disk.open_journal()
    assert (journal.first_index, journal.last_index, journal.last_term) == (8, 8, 2)


def test_a_log_that_holds_the_checkpoint_s_last_entry_is_kept() -> None:
    log, start = joined(with_entries(10), Position(8, 1, 6, LATER.encode(), b""))
    assert start == Start(8, 1)
    assert (log.first_index, log.last_index) == (1, 10)


def test_the_configuration_of_the_checkpoint_counts_and_not_the_starting_list() -> None:
    log, _ = joined(with_entries(10), Position(8, 1, 6, LATER.encode(), b""))
    assert (log.in_force.index, log.in_force.configuration) == (6, LATER)
