"""Configurations as bytes, and the configuration in force as a function of the log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrix_raft.consensus.configuration import (
    Configuration,
    ConfigurationError,
    ConfiguredLog,
    Member,
    Placed,
    Standing,
    placed,
)
from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.storage.port import Entry

NAMES = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20)
MEMBERS = st.dictionaries(NAMES, st.builds(Member, st.sampled_from(Standing), NAMES), min_size=1).filter(
    lambda members: any(member.standing is Standing.VOTER for member in members.values())
)


def three(**standing: Standing) -> Configuration:
    return Configuration(
        {i: Member(standing.get(i, Standing.VOTER), f"disk-{i}") for i in ("n1", "n2", "n3")}
    )


@given(MEMBERS, st.integers(0, 2**60), NAMES)
def test_a_configuration_survives_its_bytes(members: dict[str, Member], previous: int, why: str) -> None:
    configuration = Configuration(members, previous, why)
    assert Configuration.decode(configuration.encode()) == configuration
    assert placed(*Placed(7, configuration).encode()) == Placed(7, configuration)


@given(st.binary(max_size=80))
def test_no_bytes_do_anything_but_decode_or_be_refused(data: bytes) -> None:
    for attempt in (data, b"\x10" + data, b"\x10c1 0 -\n" + data):
        try:
            configuration = Configuration.decode(attempt)
        except ConfigurationError:
            continue
        assert configuration.encode() == attempt


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00c1 0 -\nV d n",
        b"\x10c2 0 -\nV d n",
        b"\x10c1 0 -",
        b"\x10c1 0 -\nL d n",
        b"\x10c1 -1 -\nV d n",
        b"\x10c1 00 -\nV d n",
        b"\x10c1 0 -\nV d n\nV d n",
        b"\x10c1 0 -\nV d b\nV d a",
        b"\x10c1 0 -\nX d n",
        b"\x10c1 0 -\nV  n",
        b"\x10c1 0 -\nV d n\n",
        b"\x10c1 0 -\nV d \xff",
    ],
)
def test_damaged_or_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ConfigurationError):
        Configuration.decode(data)


def test_a_name_with_white_space_cannot_forge_a_line() -> None:
    with pytest.raises(ConfigurationError):
        Configuration({"n1\nV": Member(Standing.VOTER, "d")})


def test_only_voters_count_towards_a_quorum() -> None:
    configuration = three(n3=Standing.LEARNER)
    assert configuration.voters == ("n1", "n2")
    assert not configuration.is_quorum({"n1", "n3", "stranger"})
    assert configuration.is_quorum({"n1", "n2"})


@pytest.mark.parametrize(
    ("values", "expected"),
    [({"n1": 9, "n2": 5, "n3": 1}, 5), ({"n1": 9}, 0), ({"n1": 9, "x": 9}, 0), ({"n1": 4, "n3": 7}, 4)],
)
def test_the_value_held_by_a_majority_of_voters(values: dict[str, int], expected: int) -> None:
    assert three().held_by_majority(values) == expected


def test_of_four_voters_three_are_a_majority() -> None:
    four = Configuration({i: Member(Standing.VOTER, "d" + i) for i in "abcd"})
    assert not four.is_quorum({"a", "b"})
    assert four.held_by_majority({"a": 3, "b": 3}) == 0
    assert four.held_by_majority({"a": 3, "b": 3, "c": 2}) == 2


class TestConfiguredLog:
    """The configuration in force is the last one of the log, else of the checkpoint, else the first list."""

    first = three()
    second = three(n3=Standing.LEARNER)

    def log(self, disk: MemoryDisk | None = None) -> ConfiguredLog:
        return ConfiguredLog((disk or MemoryDisk()).open_journal(), Placed(0, self.first))

    def add(self, log: ConfiguredLog, data: bytes = b"\0") -> int:
        log.append(Entry(data, log.last_index + 1, 1))
        return log.last_index

    def test_the_starting_list_holds_until_the_log_says_otherwise(self) -> None:
        log = self.log()
        self.add(log)
        assert log.in_force == Placed(0, self.first)

    def test_an_entry_is_in_force_as_soon_as_it_is_appended_and_owners_are_told(self) -> None:
        log = self.log()
        changes: list[int] = []
        log.on_change = lambda: changes.append(log.in_force.index)
        index = self.add(log, self.second.encode())
        assert log.in_force == Placed(index, self.second)
        assert changes == [index]
        assert log.at(index - 1) == Placed(0, self.first)

    def test_truncation_takes_it_back(self) -> None:
        log = self.log()
        index = self.add(log, self.second.encode())
        log.truncate_from(index)
        assert log.in_force == Placed(0, self.first)

    def test_a_restart_finds_it_again(self) -> None:
        disk = MemoryDisk()
        log = self.log(disk)
        for _ in range(300):
            self.add(log)
        index = self.add(log, self.second.encode())
        log.journal.flush()
        disk.crash()
        assert self.log(disk).in_force == Placed(index, self.second)

    def test_compaction_keeps_what_it_dropped(self) -> None:
        log = self.log()
        index = self.add(log, self.second.encode())
        self.add(log)
        log.compact_to(self.add(log))
        assert log.in_force == log.at(99) == Placed(index, self.second)
        assert log.history() == [Placed(index, self.second)]

    def test_a_snapshot_brings_its_own_and_drops_what_the_log_had(self) -> None:
        log = self.log()
        self.add(log, self.second.encode())
        log.install(50, 3, Placed(40, self.first), keep_suffix=False)
        assert log.in_force == Placed(40, self.first)
        assert (log.first_index, log.last_index, log.last_term) == (50, 50, 3)

    def test_a_snapshot_inside_the_log_keeps_later_configurations(self) -> None:
        log = self.log()
        self.add(log)
        middle = self.add(log)
        index = self.add(log, self.second.encode())
        log.install(middle, 1, Placed(0, self.first), keep_suffix=True)
        assert log.in_force == Placed(index, self.second)
        assert log.first_index == middle
