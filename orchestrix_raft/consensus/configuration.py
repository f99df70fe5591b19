"""Who belongs to the cluster, and the one place that derives it from the log.

A configuration is never set: it is the last configuration entry of the log, committed or not, else the
one stored with the checkpoint, else the list the cluster was started with.  `ConfiguredLog` wraps the
journal and keeps that answer right through every append, truncation, compaction and restart.
"""

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import NamedTuple

from orchestrix_raft.consensus.entries import CONFIGURATION, NO_OP
from orchestrix_raft.storage.port import Entry, Journal

NAME_MAX = 255
_SCAN_ENTRIES = 256


class ConfigurationError(ValueError):
    """The bytes or members are not a configuration."""


class Standing(StrEnum):
    VOTER = "V"
    STAGING = "S"  # a learner that is made a voter once it has caught up
    LEARNER = "L"  # receives the log for good, never counts


def is_name(name: str) -> bool:
    """Whether it can stand in a configuration, as an id of a node, a disk or a request."""
    return 0 < len(name) <= NAME_MAX and not any(mark.isspace() for mark in name)


class Member(NamedTuple):
    standing: Standing
    disk_id: str
    """Made when the disk was formatted: a node whose disk was lost is not this member any more."""


class Configuration:
    """Members by id.  Immutable; equal when the encoded bytes are equal.

    `previous_index` is the log index of the configuration it replaced, which makes the history a chain
    that can be checked; `request_id` says what asked for it.
    """

    __slots__ = ("members", "previous_index", "request_id", "voters")

    def __init__(self, members: Mapping[str, Member], previous_index: int = 0, request_id: str = "-") -> None:
        self.members: Mapping[str, Member] = dict(sorted(members.items()))
        self.previous_index = previous_index
        self.request_id = request_id
        self.voters = tuple(i for i, member in self.members.items() if member.standing is Standing.VOTER)
        for name in (request_id, *self.members, *(member.disk_id for member in self.members.values())):
            if not is_name(name):
                raise ConfigurationError(f"not a name: {name!r}")
        if not self.voters:
            raise ConfigurationError("a cluster needs at least one voter")
        if previous_index < 0:
            raise ConfigurationError("the previous index is negative")

    def is_quorum(self, ids: Collection[str]) -> bool:
        """More than half of the voters are among `ids`; whoever else is, does not count."""
        return 2 * sum(1 for voter in self.voters if voter in ids) > len(self.voters)

    def held_by_majority(self, values: Mapping[str, int]) -> int:
        """The largest value that more than half of the voters have reached (0 for a missing one)."""
        return sorted((values.get(voter, 0) for voter in self.voters), reverse=True)[len(self.voters) // 2]

    def lists(self, node_id: str, disk_id: str | None) -> bool:
        member = self.members.get(node_id)
        return member is not None and member.disk_id == disk_id

    def encode(self) -> bytes:
        """The entry's bytes: kind, then readable lines; nothing in them is executed when read."""
        lines = [f"c1 {self.previous_index} {self.request_id}"]
        lines += [f"{member.standing.value} {member.disk_id} {i}" for i, member in self.members.items()]
        return CONFIGURATION + "\n".join(lines).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Configuration":
        """ConfigurationError when `data` is not exactly what `encode` makes."""
        if data[:1] != CONFIGURATION:
            raise ConfigurationError("not a configuration entry")
        try:
            head, *lines = data[1:].decode().split("\n")
            version, previous_index, request_id = head.split(" ")
            if version != "c1":
                raise ConfigurationError(f"configuration format {version!r} is unknown here")
            members = {}
            for line in lines:
                standing, disk_id, node_id = line.split(" ")
                members[node_id] = Member(Standing(standing), disk_id)
            found = cls(members, int(previous_index), request_id)
        except (UnicodeDecodeError, ValueError) as error:
            raise ConfigurationError(f"damaged configuration entry: {error}") from error
        if found.encode() != data:
            raise ConfigurationError("configuration entry is not in its one canonical form")
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Configuration) and self.encode() == other.encode()

    def __hash__(self) -> int:
        return hash(self.encode())

    def __repr__(self) -> str:
        return f"Configuration({' '.join(f'{i}:{member.standing}' for i, member in self.members.items())})"


class Placed(NamedTuple):
    """A configuration and the log index it came with; index 0: the list the cluster was started with."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody wants here
    configuration: Configuration | None

    def encode(self) -> tuple[int, bytes]:
        """For a checkpoint; empty bytes: no configuration known yet."""
        return self.index, b"" if self.configuration is None else self.configuration.encode()


def placed(index: int, data: bytes) -> Placed:
    """The inverse of `Placed.encode`."""
    return Placed(index, Configuration.decode(data) if data else None)


class ConfiguredLog:
    """The journal, and every configuration in it.  All changes of the log go through here."""

    def __init__(self, journal: Journal, base: Placed) -> None:
        """`base`: the configuration below the first entry (of the checkpoint, or the starting list)."""
        self.journal = journal
        self._base = base
        self._found: list[Placed] = []
        self.in_force = base
        self.on_change: Callable[[], None] = lambda: None
        self._scan()

    # -- reading ---------------------------------------------------------------------------------
    @property
    def first_index(self) -> int:
        return self.journal.first_index

    @property
    def last_index(self) -> int:
        return self.journal.last_index

    @property
    def last_term(self) -> int:
        return self.journal.last_term

    def term_at(self, index: int) -> int:
        """Term of the held entry at `index` (IndexError when it is not held)."""
        return self.journal.entry(index).term

    def at(self, index: int) -> Placed:
        """The configuration as of `index`."""
        for found in reversed(self._found):
            if found.index <= index:
                return found
        return self._base

    def history(self) -> list[Placed]:
        """Every configuration known here, oldest first."""
        return [self._base, *self._found]

    # -- changing --------------------------------------------------------------------------------
    def append(self, entry: Entry) -> None:
        is_configuration = entry.data[:1] == CONFIGURATION
        configuration = Configuration.decode(entry.data) if is_configuration else None
        self.journal.append(entry)
        if configuration is not None:
            self._found.append(Placed(entry.index, configuration))
            self._derive()

    def truncate_from(self, index: int) -> None:
        self.journal.truncate_from(index)
        self._forget_from(index)
        self._derive()

    def compact_to(self, index: int) -> None:
        """Drop what is before the held entry `index`."""
        self.journal.compact_to(index)
        while self._found and self._found[0].index < index:
            self._base = self._newer(self._found.pop(0))

    def install(self, index: int, term: int, base: Placed, keep_suffix: bool) -> None:
        """Start again at a snapshot; `base` is the configuration inside it.  `keep_suffix`: the held
        entry at `index` is the snapshot's, so what follows it stays."""
        if keep_suffix:
            self.compact_to(index)
        else:
            self.journal.reset(Entry(NO_OP, index, term))
            self._found.clear()
        self._base = self._newer(base)
        self._derive()

    # -- deriving --------------------------------------------------------------------------------
    def _newer(self, other: Placed) -> Placed:
        return other if other.configuration is not None and other.index >= self._base.index else self._base

    def _forget_from(self, index: int) -> None:
        while self._found and self._found[-1].index >= index:
            self._found.pop()

    def _scan(self) -> None:
        """Find the configurations in a journal that was just opened."""
        for start in range(self.first_index, self.last_index + 1, _SCAN_ENTRIES):
            for entry in self.journal.slice(start, start + _SCAN_ENTRIES):
                if entry.data[:1] == CONFIGURATION:
                    self._found.append(Placed(entry.index, Configuration.decode(entry.data)))
        self._derive()

    def _derive(self) -> None:
        newest = self._found[-1] if self._found else self._base
        if newest.index < self._base.index:
            newest = self._base
        if newest != self.in_force:
            self.in_force = newest
            self.on_change()
