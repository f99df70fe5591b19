"""Machine levels: who may raise them, what the raise does, and that a node which is too old stops in time."""

from types import MappingProxyType

import msgspec
import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.level import FIRST_LEVEL, LEVEL_MAX
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.queue import QueueChange, QueueOptions
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import (
    Asked,
    ConfigureQueue,
    Enqueue,
    Entry,
    MigrateRecords,
    NodeHealthChanged,
    NodeStarted,
    RaiseLevel,
)
from orchestrix_raft.machine.events import Event, LevelRaised, QueueConfigured, RecordsMigrated
from orchestrix_raft.machine.history import LEVEL_KEY, SINGLES
from orchestrix_raft.machine.invariants import Broken, check, check_stored
from orchestrix_raft.machine.levels import read_entry
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.machine.rules import Rules, TooOld
from orchestrix_raft.machine.state import State
from tests.scenarios.driver import Driver, job, key

SECOND = FIRST_LEVEL + 1


def pause_all(state: State, cursor: bytes, limit: int) -> tuple[tuple[Event, ...], bytes | None]:
    """A migration: queues that are not paused become so, three at a time."""
    names = sorted(name for name in state.limited if name.encode() >= cursor)
    events = tuple(
        QueueConfigured(name, QueueOptions(concurrency=state.limited[name].options.concurrency, paused=True))
        for name in names[:3]
    )
    assert limit == limits.MIGRATED_AT_ONCE
    return events, names[3].encode() if len(names) > 3 else None


OLD = Rules(FIRST_LEVEL, "1.0")
NEW = Rules(SECOND, "2.0", MappingProxyType({ConfigureQueue: SECOND}))
MIGRATING = Rules(SECOND, "2.0", migrations=MappingProxyType({SECOND: pause_all}))


def driver(rules: Rules, *nodes: tuple[str, int]) -> Driver:
    """n0 and `nodes`, each with the highest level it says it can run."""
    made = Driver(rules=rules)
    for node_id, level in (("n0", SECOND), *nodes):
        start(made, node_id, level)
    return made


def start(made: Driver, node_id: str, level: int, boot: str = "again") -> None:
    made.apply(codec.unnumbered(NodeStarted(node_id, key(f"{node_id}{boot}"), "a:1", "v", level)))


def raising(made: Driver, level: int = SECOND, *members: str) -> RaiseLevel:
    named = members or tuple(made.machine.state.nodes)
    return RaiseLevel(level, "2.0", tuple((n, made.machine.state.nodes[n].incarnation) for n in named))


def reason(result: object) -> str:
    assert isinstance(result, Rejected)
    assert "\n" not in result.message
    return result.reason


# ---- the raise


def test_a_cluster_begins_with_the_first_level_and_is_raised_by_one_entry() -> None:
    made = driver(NEW, ("n1", SECOND))
    assert made.machine.state.level == FIRST_LEVEL
    assert made.do(raising(made)) is None
    assert made.events == [LevelRaised(SECOND, "2.0", False)]
    assert (made.machine.state.level, made.machine.state.level_version) == (SECOND, "2.0")


def test_the_raise_waits_for_every_member_and_for_whoever_else_lives() -> None:
    made = driver(NEW, ("n1", FIRST_LEVEL), ("n2", SECOND))
    for members in ((), ("n0", "n2")):
        assert reason(made.do(raising(made, SECOND, *members))) == "LEVEL_NOT_ANNOUNCED"
    start(made, "n1", SECOND, "upgraded")
    assert made.do(raising(made)) is None


def test_a_member_that_was_replaced_since_it_was_seen_does_not_count() -> None:
    made = driver(NEW, ("n1", SECOND))
    seen = raising(made)
    start(made, "n1", SECOND, "restarted")
    assert reason(made.do(seen)) == "LEVEL_NOT_ANNOUNCED"
    start(made, "n1", FIRST_LEVEL, "taken back")
    assert reason(made.do(raising(made))) == "LEVEL_NOT_ANNOUNCED"
    assert made.machine.state.level == FIRST_LEVEL


@pytest.mark.parametrize("health", [Health.DEAD, Health.STOPPED])
def test_a_member_that_does_not_run_says_nothing(health: Health) -> None:
    made = driver(NEW, ("n1", SECOND))
    made.do(NodeHealthChanged("n1", made.machine.state.nodes["n1"].incarnation, health))
    assert reason(made.do(raising(made))) == "LEVEL_NOT_ANNOUNCED"
    assert made.do(raising(made, SECOND, "n0")) is None, (
        "but one that is not a member any more does not count"
    )


def test_a_node_that_is_dead_and_no_member_keeps_no_level_from_coming() -> None:
    made = driver(NEW, ("n1", FIRST_LEVEL))
    made.do(NodeHealthChanged("n1", made.machine.state.nodes["n1"].incarnation, Health.DEAD))
    assert made.do(raising(made, SECOND, "n0")) is None


def test_an_unknown_member_a_wrong_level_or_none_at_all_is_refused() -> None:
    made = driver(NEW)
    assert reason(made.do(RaiseLevel(SECOND, "2.0", (("n9", 1),)))) == "LEVEL_NOT_ANNOUNCED"
    assert reason(made.do(RaiseLevel(SECOND, "2.0", ()))) == "INVALID_LEVEL"
    assert reason(made.do(RaiseLevel(SECOND, "2" * 999, raising(made).members))) == "INVALID_LEVEL"
    for level in (FIRST_LEVEL, SECOND + 1):
        assert reason(made.do(raising(made, level))) == "LEVEL_MOVED_ON"
    made.do(raising(made))
    assert reason(made.do(raising(made))) == "LEVEL_MOVED_ON"


def test_a_node_below_the_level_is_no_origin() -> None:
    made = driver(NEW)
    made.do(raising(made))
    start(made, "n1", FIRST_LEVEL)
    assert "n1" not in made.machine.state.nodes
    start(made, "n0", FIRST_LEVEL, "taken back")
    assert made.machine.state.nodes["n0"].level == SECOND


@pytest.mark.parametrize("level", [0, -1, LEVEL_MAX + 1])
def test_a_node_of_an_impossible_level_is_refused(level: int) -> None:
    made = driver(NEW)
    start(made, "n1", level)
    assert "n1" not in made.machine.state.nodes


# ---- commands of a level


def test_a_command_of_a_level_is_refused_below_it_and_done_from_it_on() -> None:
    made = driver(NEW)
    pause = ConfigureQueue(b"r", "default", QueueChange(paused=True))
    refused = made.do(pause)
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.reason) == (Code.FAILED_PRECONDITION, "LEVEL_TOO_LOW")
    assert refused.message == (
        "this needs machine level 2 and the cluster is at 1: upgrade the remaining nodes, "
        "`orchestrix-raft status` shows their versions"
    )
    assert made.do(Asked("somebody", pause)) == refused, "however it comes"
    assert made.machine.state.limited == {}
    made.do(raising(made))
    made.do(pause)
    assert made.machine.state.limited["default"].options.paused


# ---- migration


def test_a_migration_goes_in_bounded_steps_from_the_raise_on() -> None:
    made = driver(MIGRATING)
    for name in "abcdefg":
        made.do(ConfigureQueue(b"", name, QueueChange(concurrency=1)))
    made.do(raising(made))
    assert [type(event) for event in made.events[:2]] == [LevelRaised, QueueConfigured]
    assert made.events[-1] == RecordsMigrated(b"d")
    assert reason(made.do(MigrateRecords(SECOND, b"a"))) == "LEVEL_MOVED_ON"
    assert reason(made.do(MigrateRecords(FIRST_LEVEL, b"d"))) == "LEVEL_MOVED_ON"
    assert reason(made.do(raising(made, SECOND + 1))) == "LEVEL_MOVED_ON"
    twin = Machine(made.store, made.store, MIGRATING)
    twin.load(made.store.pairs)
    assert twin.state.migration == b"d", "a restart goes on where it was"
    made.do(MigrateRecords(SECOND, b"d"))
    made.do(MigrateRecords(SECOND, b"g"))
    assert made.events[-1] == RecordsMigrated(None)
    assert made.machine.state.migration is None
    assert all(queue.options.paused for queue in made.machine.state.limited.values())
    assert reason(made.do(MigrateRecords(SECOND, b"g"))) == "LEVEL_MOVED_ON"


def test_a_migration_without_records_is_over_at_once() -> None:
    made = driver(MIGRATING)
    made.do(raising(made))
    assert made.events == [LevelRaised(SECOND, "2.0", True), RecordsMigrated(None)]
    assert made.machine.state.migration is None


# ---- whoever is too old


def test_a_node_that_cannot_run_the_level_stops_and_nothing_of_the_entry_is_kept() -> None:
    made = driver(NEW, ("n1", SECOND))
    rows = dict(made.store.pairs(SINGLES))
    old = Machine(made.store, made.store, OLD)
    old.load(made.store.pairs)
    batch = codec.unnumbered(Enqueue((job("a"),)), raising(made))
    with pytest.raises(TooOld) as stopped:
        old.apply(made.index + 1, 1, codec.make_entry(0, 0, (batch,)))
    assert str(stopped.value) == (
        "the cluster is at machine level 2, raised by version 2.0; this is version 1.0, which runs levels up "
        "to 1: install version 2.0 or newer"
    )
    assert dict(made.store.pairs(SINGLES)) == rows


def test_a_raise_that_is_refused_stops_nobody() -> None:
    made = driver(OLD, ("n1", FIRST_LEVEL))
    assert reason(made.do(raising(made))) == "LEVEL_NOT_ANNOUNCED"


def test_a_checkpoint_names_its_level_and_an_older_version_reads_nothing_else() -> None:
    made = driver(NEW)
    assert LEVEL_KEY not in dict(made.store.pairs(SINGLES)), "the first level needs no name"
    made.do(raising(made))
    twin = Machine(made.store, made.store, NEW)
    twin.load(made.store.pairs)
    assert (twin.state.level, twin.state.level_version) == (SECOND, "2.0")
    check_stored(twin, made.store.pairs)

    store = MemoryStore()
    newer = msgspec.msgpack.encode([SECOND, "2.0", None, "of a version to come"])
    store.put(SINGLES, LEVEL_KEY, newer)
    store.put(SINGLES, b"core", b"\xc1 another form")
    with pytest.raises(TooOld, match=r"install version 2\.0 or newer"):
        Machine(store, store, OLD).load(store.pairs)


def test_what_this_version_does_not_know_says_what_to_install() -> None:
    raw = msgspec.Raw(msgspec.msgpack.encode(["", 0, 0, [[9_999]]]))
    made = driver(OLD)
    with pytest.raises(TooOld) as stopped:
        made.machine.apply(made.index + 1, 1, Entry(0, 0, (raw,)))
    assert str(stopped.value).startswith(f"log entry {made.index + 1} holds what version 1.0 does not know (")
    assert str(stopped.value).endswith("): install the version that the other nodes run")
    with pytest.raises(TooOld, match="log entry 7 holds"):
        read_entry(OLD, 7, msgspec.msgpack.encode([0, 0, [], "more"]))


# ---- invariants


def test_the_invariants_know_levels() -> None:
    made = driver(NEW, ("n1", SECOND))
    state = made.machine.state
    made.do(raising(made))
    right = (state.level, state.migration, state.nodes["n1"].level)
    for wrong in ((SECOND + 1, None, SECOND + 1), (SECOND, b"", SECOND), (SECOND, None, FIRST_LEVEL)):
        state.level, state.migration, state.nodes["n1"].level = wrong
        with pytest.raises(Broken, match="level"):
            check(made.machine)
    state.level, state.migration, state.nodes["n1"].level = right
    check(made.machine)
    state.level_version = "another"
    with pytest.raises(Broken, match="machine level is outdated"):
        check_stored(made.machine, made.store.pairs)
