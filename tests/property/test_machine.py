"""Random streams of entries: invariants, twins, rebuilt replicas, a naive dispatcher as reference."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrix_raft.domain.job import Job, JobState
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine import apply as apply_module
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.attempts import decide_assignment, evolve_assigned
from orchestrix_raft.machine.board import load_of
from orchestrix_raft.machine.commands import Batch, Enqueue, Entry
from orchestrix_raft.machine.events import Event
from orchestrix_raft.machine.history import SINGLES
from orchestrix_raft.machine.invariants import check, check_stored
from orchestrix_raft.machine.jobs import (
    decide_expired,
    decide_too_old,
    evolve_cancelled,
    evolve_given_up,
)
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.machine.port import Applied
from orchestrix_raft.machine.queues import units
from orchestrix_raft.machine.state import State
from tests.scenarios.driver import Driver, job
from tests.scenarios.streams import Step, Stream, small_limits, steps


class Replica:
    """A machine over its own store."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.machine = Machine(self.store, self.store)
        self.index = 0

    def apply(self, data: bytes) -> Applied:
        self.index += 1
        return self.machine.apply(self.index, 1, codec.decode_entry(data))

    def rebuild(self) -> None:
        """As after a restart: nothing but the tables is left."""
        self.store = self.store.copy()
        self.machine = Machine(self.store, self.store)
        self.machine.load(self.store.pairs)


def outcome(replica: Replica, applied: Applied) -> tuple[object, ...]:
    """Everything two replicas must agree on after an entry."""
    state = replica.machine.state
    return (
        codec.encode_events(applied.events),
        applied.resolved,
        applied.gaps,
        applied.fenced,
        state.digest,
        state.next_due(),
        state.counts,
        state.queues,
        replica.store.tables,
    )


@pytest.fixture(autouse=True, scope="module")
def _small_limits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small_limits(patch)
        yield


@settings(max_examples=150)
@given(steps)
def test_invariants_hold_after_every_entry(stream: list[Step]) -> None:
    replica, source = Replica(), Stream()
    for step in stream:
        applied = replica.apply(source.entry(replica.machine.state, step))
        assert not applied.faults
        check(replica.machine)
        check_stored(replica.machine, replica.store.pairs)


@settings(max_examples=150)
@given(steps, st.integers(1, 9))
def test_a_replica_rebuilt_at_any_index_does_what_its_twin_does(stream: list[Step], every: int) -> None:
    steady, rebuilt, source = Replica(), Replica(), Stream()
    for number, step in enumerate(stream):
        entry = source.entry(steady.machine.state, step)
        if number % every == 0:
            rebuilt.rebuild()
            check(rebuilt.machine)
        assert outcome(steady, steady.apply(entry)) == outcome(rebuilt, rebuilt.apply(entry))


def let_through(state: State, ready: Job) -> bool:
    """Whether its queue and its key allow one more, counted anew."""
    name, key = ready.spec.queue, ready.spec.key
    queue = state.limited.get(name)
    if queue is None:
        return True
    rules, of_key = queue.options, state.board.gates[name].rules(key)
    held = [unit for s in state.sessions.values() for unit in units(state, s) if unit[0] == name]
    windows = [w for w in state.key_windows.values() if (w.queue, w.key) == (name, key)]
    return not (
        rules.paused
        or (rules.concurrency and len(held) >= rules.concurrency)
        or (rules.rate and queue.window.used >= rules.rate.count)
        or (key and of_key.key_concurrency and held.count((name, key)) >= of_key.key_concurrency)
        or (key and of_key.key_rate and windows and windows[0].window.used >= of_key.key_rate.count)
    )


def takes_jobs(state: State, session: Session) -> bool:
    """Attached, and neither it nor its node is draining."""
    node = state.nodes.get(session.node_id)
    return node is not None and node.drain is None and not session.draining


def naive_dispatch(state: State, events: list[Event]) -> None:
    """The rule by its words, scanning everything."""
    state.board.woken.clear()
    state.board.freed.clear()
    state.board.opened.clear()
    while True:
        free = [s for s in state.sessions.values() if takes_jobs(state, s) and len(s.slots) < s.capacity]
        pairs = [
            ((-j.spec.priority, j.seq), (load_of(s), s.idle_seq), j, s)
            for j in state.jobs.values()
            if j.state is JobState.PENDING and let_through(state, j)
            for s in free
            if j.spec.queue in s.queues and not set(j.spec.labels) - set(s.labels)
        ]
        if not pairs:
            return
        _, _, ready, session = min(pairs, key=lambda pair: pair[:2])
        if ready.failures and 0 < ready.retry_until_ms < state.elapsed_ms:
            (given_up,) = decide_too_old(state, ready.spec.job_id)
            evolve_given_up(state, given_up)
            events.append(given_up)
            continue
        if ready.timer is not None and not ready.token and ready.timer.due_ms <= state.elapsed_ms:
            (expired,) = decide_expired(state, ready.spec.job_id)
            evolve_cancelled(state, expired)
            events.append(expired)
            continue
        event = decide_assignment(state, ready, session)
        evolve_assigned(state, event)
        events.append(event)


@settings(max_examples=100)
@given(steps)
def test_dispatch_assigns_what_the_rule_says(stream: list[Step]) -> None:
    indexed, naive, source = Replica(), Replica(), Stream()
    for step in stream:
        entry = source.entry(indexed.machine.state, step)
        applied = indexed.apply(entry)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(apply_module, "dispatch", naive_dispatch)
            assert naive.apply(entry).events == applied.events


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4)), max_size=40))
def test_commands_of_an_origin_count_once_and_in_order(windows: list[tuple[int, int]]) -> None:
    """Batches arrive again, overlapping or too early; what is applied is 1, 2, 3, ..."""
    driver = Driver()
    commands = [Enqueue((job(f"j{n}"),)) for n in range(1, 400)]
    applied: list[int] = []
    expected = 1
    for back, count in windows:
        first = max(1, expected + 3 - back)
        batch = Batch("n0", 1, first, tuple(commands[first - 1 : first - 1 + count]))
        result = driver.apply(batch)
        applied += [resolved.sequence for resolved in result.resolved]
        if first > expected:
            assert [gap.expected for gap in result.gaps] == [expected]
            assert not result.events
        else:
            expected = max(expected, first + count)
    assert applied == list(range(1, expected))
    assert not driver.apply(Batch("n0", 2, expected, (commands[0],))).resolved
    assert driver.applied.fenced == [("n0", 2)]


@settings(max_examples=30)
@given(steps)
def test_numbered_batches_delivered_three_times_leave_the_same_records(stream: list[Step]) -> None:
    """A batch that was refused for a gap is not among them: sent again it may count."""
    once, thrice, source = Replica(), Replica(), Stream()
    for step in stream:
        data = source.entry(once.machine.state, step)
        gaps = once.apply(data).gaps
        entry = codec.decode_entry(data)
        numbered = tuple(b for b in entry.batches if codec.decode_batch(b).node_id and not gaps)
        again = Entry(entry.elapsed_ms, entry.wall_ms, entry.batches + numbered + numbered)
        thrice.apply(codec.encode_entry(again))
    for table in once.store.tables.keys() - {SINGLES}:
        assert once.store.tables[table] == thrice.store.tables.get(table)
