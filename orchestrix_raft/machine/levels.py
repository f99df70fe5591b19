"""The machine level: how it is raised, what the raise does to stored records, and who may not go on.

`decide_raise` belongs to the first level and never changes: nodes of every version come to the same verdict
about a raise, also those that cannot follow it.  Such a node stops in the middle of the entry, of which
nothing is handed over: its data stands before the raise, and a newer version goes on from there.
"""

from collections.abc import Iterator
from typing import Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.domain.node import OVER
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.commands import Batch, Entry, MigrateRecords, RaiseLevel
from orchestrix_raft.machine.events import Event, LevelRaised, RecordsMigrated
from orchestrix_raft.machine.history import LEVEL_KEY, SINGLES
from orchestrix_raft.machine.rules import Rules, TooOld
from orchestrix_raft.machine.state import State
from orchestrix_raft.undecodable import UNDECODABLE, words_of

_MOVED_ON: Final = Rejected(
    Code.FAILED_PRECONDITION, "LEVEL_MOVED_ON", "the cluster is at another machine level, or on the way to it"
)
_NOT_ALL: Final = Rejected(
    Code.FAILED_PRECONDITION, "LEVEL_NOT_ANNOUNCED", "a node cannot run that machine level, or does not run"
)

# ---- decide


def decide_raise(state: State, command: RaiseLevel) -> tuple[Event, ...] | Rejected:
    """Every member, and whoever else lives, can run it.  TooOld: all the others go on without this node."""
    if command.level != state.level + 1 or state.migration is not None:
        return _MOVED_ON
    if not 0 < len(command.members) <= limits.NODES or len(command.version) > limits.VERSION_CHARS:
        return Rejected(Code.INVALID_ARGUMENT, "INVALID_LEVEL", "no members, or a version that is too long")
    for node_id, incarnation in command.members:
        node = state.nodes.get(node_id)
        if node is None or node.incarnation != incarnation or node.health in OVER:
            return _NOT_ALL
    if any(node.level < command.level and node.health not in OVER for node in state.nodes.values()):
        return _NOT_ALL
    state.rules.check(command.level, command.version)
    migrates = command.level in state.rules.migrations
    raised = LevelRaised(command.level, command.version, migrates)
    return (raised, *_step(state, command.level, b"")) if migrates else (raised,)


def decide_migrate(state: State, command: MigrateRecords) -> tuple[Event, ...] | Rejected:
    """The next step."""
    if command.level != state.level or state.migration is None or command.cursor != state.migration:
        return _MOVED_ON
    return _step(state, command.level, command.cursor)


def _step(state: State, level: int, cursor: bytes) -> tuple[Event, ...]:
    events, following = state.rules.migrations[level](state, cursor, limits.MIGRATED_AT_ONCE)
    return (*events, RecordsMigrated(following))


def below(level: int, can: int) -> Rejected:
    """The answer to a process that announces itself and can run only `can`."""
    return Rejected(
        Code.FAILED_PRECONDITION,
        "NODE_TOO_OLD",
        f"the node runs machine levels up to {can}, the cluster is at {level}: install a newer version on it",
    )


# ---- evolve


def evolve_raised(state: State, event: LevelRaised) -> None:
    """From here on entries are applied by other rules."""
    state.level = event.level
    state.level_version = event.version
    state.migration = b"" if event.migrates else None
    state.touch(SINGLES, LEVEL_KEY, _record(state))


def evolve_migrated(state: State, event: RecordsMigrated) -> None:
    """A step is done."""
    state.migration = event.cursor
    state.touch(SINGLES, LEVEL_KEY, _record(state))


# ---- in and out of storage


def _record(state: State) -> codec.Level:
    return codec.Level(state.level, state.level_version, state.migration)


def level_record(state: State) -> bytes:
    """As it is stored."""
    return codec.encode_record(_record(state))


def load_level(state: State, value: bytes) -> None:
    """From a checkpoint.  TooOld: nothing else in it may be read."""
    record = codec.decode_level(value)
    state.rules.check(record.level, record.version)
    state.level, state.level_version, state.migration = record.level, record.version, record.migration


def read_entry(rules: Rules, index: int, data: bytes) -> Entry:
    """A log entry; TooOld for a form that this version does not know."""
    try:
        return codec.decode_entry(data)
    except UNDECODABLE as error:
        raise _unknown(rules, index, error) from error


def decode_batches(rules: Rules, index: int, entry: Entry) -> list[Batch]:
    """What an entry carries, all of it before any of it is applied; TooOld for what this version does not
    know."""
    try:
        return [codec.decode_batch(batch) for batch in entry.batches]
    except UNDECODABLE as error:
        raise _unknown(rules, index, error) from error


def _unknown(rules: Rules, index: int, error: Exception) -> TooOld:
    return TooOld(
        f"log entry {index} holds what version {rules.version} does not know ({words_of(error)}): install "
        "the version that the other nodes run"
    )


# ---- what must hold


def faults_in_levels(state: State) -> Iterator[str]:
    """One line for everything that is wrong."""
    if not FIRST_LEVEL <= state.level <= state.rules.highest:
        yield f"machine level {state.level} on software that runs {FIRST_LEVEL} to {state.rules.highest}"
    if state.migration is not None and state.level not in state.rules.migrations:
        yield f"records migrate to machine level {state.level}, which changes none"
    for node in state.nodes.values():
        if node.level < state.level and node.health not in OVER:
            yield f"node {node.node_id} lives and runs levels up to {node.level} only, below {state.level}"
