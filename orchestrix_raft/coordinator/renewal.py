"""A new cluster of one that goes on from what is left of another: from a backup, or from a survivor's
directory.

Offline: no node runs on the directory.  The new cluster has an id of its own, so nodes of the former one are
never let in, and its first entry raises the generation: see `machine.generations`.  Its log begins far
behind the former one's end, so that whoever remembers an index of what is lost (a client that reads its own
writes) does not wait for it.  Who made it, and of what, is the first thing that the new cluster notes in its
audit trail."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from orchestrix_raft.consensus.configuration import Configuration, Member, Standing
from orchestrix_raft.consensus.entries import COMMAND, NO_OP
from orchestrix_raft.consensus.port import SafetyFault
from orchestrix_raft.consensus.starting import join_log_and_checkpoint
from orchestrix_raft.coordinator.backup_file import BackupFile, Head
from orchestrix_raft.coordinator.history import LayeredHistory
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.audit import RECOVER, RESTORE
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.words import one_line
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import NoteAudit, RaiseGeneration
from orchestrix_raft.machine.invariants import Broken, check
from orchestrix_raft.machine.loading import StoredStateDamaged
from orchestrix_raft.machine.rules import TooOld
from orchestrix_raft.storage.disk import Identity
from orchestrix_raft.storage.journal import LmdbJournal
from orchestrix_raft.storage.offline import Survivor, make_directory
from orchestrix_raft.storage.port import Damaged, Entry, Journal, Position, StateStore, StorageError
from orchestrix_raft.storage.state import LmdbStateStore
from orchestrix_raft.undecodable import UNDECODABLE, words_of

WRITE_BYTES: Final = 32 << 20  # of changes held in memory while a log is replayed


class Renewed(NamedTuple):
    """What was made."""

    data_dir: Path
    cluster_id: str
    node_id: str
    first_index: int  # of its log
    generation: int
    digest: bytes  # of the state before the first entry of the new cluster
    jobs: dict[str, int]  # by state
    schedules: int
    sessions: int  # detached: they expire, and what they ran is run again


class Left(NamedTuple):
    """What a survivor's directory holds."""

    node_id: str
    cluster_id: str
    members: tuple[str, ...]  # of the configuration in force, by id
    checkpoint: int  # log index
    first_index: int
    last_index: int
    last_term: int
    last_wall_ms: int  # the replicated clock at the last entry that has one; 0: none has
    addresses: dict[str, str]  # of the members, as far as they are known


def restore(file: Path, data_dir: Path, node_id: str = "", by: str = "") -> tuple[Head, Renewed]:
    """A data directory of a new cluster from a backup.  `node_id`: as the options of a node allow it, or ""
    for one that is made up.  `by`: who does it, for the audit trail.  StorageError: nothing was made."""
    with closing(BackupFile(file)) as backup:
        made: list[Renewed] = []

        def fill(journal: LmdbJournal, state: LmdbStateStore) -> Identity:
            writer = state.receive(backup.head.ref)
            for offset, data in backup.chunks():
                writer.write(offset, data)
            writer.commit()
            identity = _identity(node_id)
            renewal = _Renewal(state, str(file))
            if renewal.digest != backup.head.digest:
                raise Damaged(f"{file}: the state inside has another digest than its head says")
            source = f"{file}, as of index {backup.head.index} of cluster {backup.head.cluster_id}"
            made.append(renewal.finish(journal, identity, data_dir, _note(by, RESTORE, source, identity)))
            return identity

        make_directory(data_dir, fill)
        return backup.head, made[0]


def look(survivor: Survivor) -> Left:
    """What a recovery would keep.  StorageError: the directory cannot be used."""
    identity = survivor.identity()
    with survivor.journal() as journal, survivor.state() as state:
        position = state.position()
        log = _joined(identity, journal, position)
        members = tuple(log.configuration.members) if log.configuration is not None else ()
        known = identity.known_addresses
        return Left(
            identity.node_id,
            identity.cluster_id,
            members,
            log.start,
            journal.first_index,
            journal.last_index,
            journal.last_term,
            _last_wall_ms(journal),
            {member: known[member] for member in members if known.get(member)},
        )


def recover(survivor: Survivor, by: str = "") -> tuple[Renewed, Path]:
    """A cluster of one in place of a member of another; where its former data is kept.  Every entry of its
    log is kept: an acknowledged one may be among them, and of others nobody was told that they failed.
    `by`: who does it, for the audit trail."""
    former = survivor.identity()
    made: list[Renewed] = []
    with survivor.journal() as log:

        def fill(journal: LmdbJournal, state: LmdbStateStore) -> Identity:
            joined = _joined(former, log, state.position())
            address = former.known_addresses.get(former.node_id, "")
            identity = _identity(former.node_id, {former.node_id: address} if address else {})
            renewal = _Renewal(state, str(survivor.path))
            renewal.replay(log, joined.start)
            source = f"node {former.node_id} of cluster {former.cluster_id}, up to index {log.last_index}"
            note = _note(by, RECOVER, source, identity)
            made.append(renewal.finish(journal, identity, survivor.path, note))
            return identity

        kept = survivor.replace(fill)
    return made[0], kept


def _note(by: str, action: str, source: str, made: Identity) -> NoteAudit:
    """A path may hold what no record can."""
    outcome = f"done: cluster {made.cluster_id} of node {made.node_id}"
    return NoteAudit(one_line(by), action, one_line(source), outcome)


def _identity(node_id: str, addresses: dict[str, str] | None = None) -> Identity:
    disk_id = secrets.token_hex(8)
    return Identity(
        disk_id=disk_id,
        node_id=node_id or f"node-{disk_id[:8]}",
        cluster_id=secrets.token_hex(16),
        addresses=addresses or {},
    )


class _Joined(NamedTuple):
    start: int  # log index at which the state stands
    configuration: Configuration | None


def _joined(identity: Identity, journal: Journal, position: Position | None) -> _Joined:
    """Where the state stands, once it is certain that log and state belong together."""
    if not identity.cluster_id:
        raise StorageError("this node never was in a cluster: there is nothing to recover")
    founders = {m.node_id: Member(Standing.VOTER, m.disk_id) for m in identity.bootstrap}
    bootstrap = Configuration(founders) if founders else None
    try:
        log, start = join_log_and_checkpoint(identity.node_id, identity.disk_id, journal, position, bootstrap)
    except SafetyFault as fault:
        raise StorageError(f"log and state do not belong together: {fault}") from fault
    return _Joined(start.index, log.in_force.configuration)


class _Renewal:
    """The state of a store on its way into a new cluster."""

    def __init__(self, store: StateStore, name: str) -> None:
        """`name`: of where it comes from, for messages."""
        self._store = store
        self._name = name
        self._history = LayeredHistory(store)
        self._machine = Machine(self._history, self._history)
        self._last, self._term = 1, 0
        position = store.position()
        if position is not None:
            self._last, self._term = position.index, position.term
            self._guarded("the state", lambda: self._machine.load(self._history.tables))

    @property
    def digest(self) -> bytes:
        """Of the state as it stands."""
        return self._machine.state.digest

    def replay(self, log: Journal, index: int) -> None:
        """Apply what follows on `index`."""
        for entry in _entries(log, index + 1):
            self._last, self._term = entry.index, entry.term
            if entry.data[:1] == COMMAND:
                self._guarded(f"entry {entry.index}", lambda entry=entry: self._apply(entry))  # type: ignore[misc]
            if self._history.pending_bytes > WRITE_BYTES:
                self._write(Position(entry.index, entry.term, 0, b"", b""))

    def _apply(self, entry: Entry) -> None:
        self._machine.apply(entry.index, entry.term, codec.decode_entry(entry.data[1:]))

    def finish(self, journal: Journal, identity: Identity, data_dir: Path, note: NoteAudit) -> Renewed:
        """Raise the generation, and make a cluster of one of it."""
        state, digest = self._machine.state, self.digest
        sessions = len(state.sessions)
        index, term = self._last + limits.GENERATION_INDEXES, self._term + 1
        first = codec.unnumbered(RaiseGeneration(state.generation), note)
        self._machine.apply(index, term, codec.make_entry(state.elapsed_ms, state.wall_ms, (first,)))
        try:
            check(self._machine)
        except Broken as error:
            raise Damaged(f"{self._name}: the state contradicts itself ({error})") from error
        alone = Configuration({identity.node_id: Member(Standing.VOTER, identity.disk_id)})
        self._write(Position(index, term, index, alone.encode(), b""))
        journal.reset(Entry(NO_OP, index, term))
        journal.set_term(term, None)
        journal.flush()
        return Renewed(
            data_dir,
            identity.cluster_id,
            identity.node_id,
            index,
            state.generation,
            digest,
            jobs_of(state.counts),
            len(state.schedules),
            sessions,
        )

    def _write(self, position: Position) -> None:
        self._store.write([self._history.freeze()], position)
        self._history.settled()

    def _guarded(self, what: str, step: Callable[[], None]) -> None:
        try:
            step()
        except StorageError:
            raise
        except TooOld as error:
            raise StorageError(f"{self._name}: {error}") from error
        except StoredStateDamaged as error:
            raise Damaged(f"{self._name}: {what} contradicts itself ({error})") from error
        except UNDECODABLE as error:
            raise Damaged(
                f"{self._name}: {what} is damaged, or was written by a newer version ({words_of(error)})"
            ) from error
        except Exception as error:  # whatever it is: a node could not go on from here either
            raise StorageError(f"{self._name}: {what} cannot be used: {error!r}") from error


def _last_wall_ms(log: Journal) -> int:
    for index in range(log.last_index, log.first_index, -1):
        entry = log.entry(index)
        if entry.data[:1] == COMMAND:
            try:
                return codec.decode_entry(entry.data[1:]).wall_ms
            except UNDECODABLE:  # who replays the log says so
                return 0
    return 0


def _entries(log: Journal, start: int) -> Iterator[Entry]:
    for index in range(start, log.last_index + 1):
        yield log.entry(index)


def jobs_of(counts: "list[int] | tuple[int, ...]") -> dict[str, int]:
    """Counts by JobState as words."""
    return {state.word: counts[state] for state in JobState}
