"""Rebuilding the state from the stored tables: entities as they are, indexes anew.

The rebuilt state has another layout of heaps and dicts than the one that was stored, and must decide
exactly as that would have.
"""

from collections.abc import Callable, Iterator
from typing import Final

from orchestrix_raft.domain.job import Job, JobState
from orchestrix_raft.domain.schedule import Schedule
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine import codec, queues, unique
from orchestrix_raft.machine.book import run_begins
from orchestrix_raft.machine.dispatch import shut_out
from orchestrix_raft.machine.history import (
    AUDIT_KEY,
    CORE_KEY,
    KEY_WINDOWS,
    LEVEL_KEY,
    LIVE_JOBS,
    NODES,
    QUEUES,
    REQUESTS,
    SCHEDULES,
    SESSIONS,
    SINGLES,
    UNIQUE_WINDOWS,
)
from orchestrix_raft.machine.levels import load_level
from orchestrix_raft.machine.rules import TooOld
from orchestrix_raft.machine.state import LIVE_STATES, STATES, State
from orchestrix_raft.machine.timers import index_timer
from orchestrix_raft.undecodable import UNDECODABLE

SLICE: Final = 500  # records between two breaks: a few milliseconds

Tables = Callable[[str], Iterator[tuple[bytes, bytes]]]


class StoredStateDamaged(Exception):
    """The tables contradict each other."""


_CONTRADICTIONS: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What building the indexes meets when records name what is not there.  Not what the store itself raises."""


def load(state: State, tables: Tables) -> Iterator[int]:
    """Fill an empty state; yields now and then so that a node can do other things.

    msgspec.ValidationError or DecodeError: a record this version does not understand.
    StoredStateDamaged: records that cannot belong together.  TooOld: the state is at a machine level
    that this version cannot run.
    """
    try:
        yield from _load(state, tables)
    except (StoredStateDamaged, TooOld, *UNDECODABLE):
        raise
    except _CONTRADICTIONS as error:
        raise StoredStateDamaged(f"records contradict each other ({type(error).__name__})") from error


def _load(state: State, tables: Tables) -> Iterator[int]:
    count = 0
    singles = dict(tables(SINGLES))
    if LEVEL_KEY in singles:
        load_level(state, singles[LEVEL_KEY])  # first of all: what follows may be in another form
    if CORE_KEY in singles:
        _load_core(state, codec.decode_core(singles[CORE_KEY]))
    if AUDIT_KEY in singles:
        state.audit = codec.decode_audit_trail(singles[AUDIT_KEY])
    for key, value in tables(NODES):
        node = state.nodes[key.decode()] = codec.decode_node(value)
        _must_be(NODES, key, node.node_id.encode())
        if node.drain is not None:
            state.board.closed_nodes.add(node.node_id)
    for key, value in tables(SESSIONS):
        _load_session(state, key, codec.decode_session(value))
        count += 1
        if count % SLICE == 0:
            yield count
    for key, value in tables(SCHEDULES):
        schedule = codec.decode_schedule(value)
        _must_be(SCHEDULES, key, schedule.spec.schedule_id.encode())
        _load_schedule(state, schedule)
        count += 1
        if count % SLICE == 0:
            yield count
    ready: list[Job] = []
    for key, value in tables(LIVE_JOBS):
        job = codec.decode_job(value)
        _load_job(state, key, job)
        if job.state is JobState.PENDING:
            ready.append(job)
        count += 1
        if count % SLICE == 0:
            state.divide()
            yield count
    for slices in (_load_queues(state, tables), _load_unique_windows(state, tables)):
        for _ in slices:
            count += 1
            if count % SLICE == 0:
                state.divide()
                yield count
    kept = [(r.seq, r.expires_ms, key) for key, r in _requests(tables)]
    state.requests.update((key, (seq, expires_ms)) for seq, expires_ms, key in sorted(kept))
    _check_counts(state)
    ready.sort(key=lambda job: job.seq)
    for place, job in enumerate(ready, 1):
        state.board.join(job)
        if place % SLICE == 0:
            yield count
    state.board.refresh()
    shut_out(state)  # nothing can be assigned: the stored state was dispatched to the end
    yield count


def _load_core(state: State, core: codec.Core) -> None:
    if {len(core.counts), len(core.totals), len(core.oldest)} != {STATES}:
        raise StoredStateDamaged(f"counts of {len(core.counts)} job states, expected {STATES}")
    state.index = core.index
    state.term = core.term
    state.elapsed_ms = core.elapsed_ms
    state.wall_ms = core.wall_ms
    state.counter = core.counter
    state.generation = core.generation
    state.token_counter = core.token_counter
    state.digest = core.digest
    state.counts[:] = core.counts
    state.totals[:] = core.totals
    state.set_aside = core.set_aside
    state.oldest[:] = core.oldest


def _must_be(table: str, key: bytes, own: bytes) -> None:
    """A record stands under its own name: else two of them might share one."""
    if key != own:
        raise StoredStateDamaged(f"table {table} has the record of {own.hex()} under {key.hex()}")


def _load_session(state: State, key: bytes, session: Session) -> None:
    _must_be(SESSIONS, key, session.session_id)
    state.sessions[key] = session
    if session.node_id:
        state.node_sessions.setdefault(session.node_id, {})[key] = session
    if session.timer is not None:
        index_timer(state, key, session.timer)
    state.board.seat(session)


def _load_schedule(state: State, schedule: Schedule) -> None:
    state.schedules[schedule.spec.schedule_id] = schedule
    if schedule.due_seq:
        state.book.enter(schedule)


def _load_job(state: State, key: bytes, job: Job) -> None:
    spec = job.spec
    _must_be(LIVE_JOBS, key, spec.job_id)
    state.jobs[key] = job
    state.sharing.share(spec)
    queue = state.queues.setdefault(spec.queue, [0] * STATES)
    queue[job.state] += 1
    queue[0] += 1
    if spec.unique_key and unique.holds(job):
        state.unique[(spec.type, spec.unique_key)] = key
    if job.timer is not None:
        index_timer(state, key, job.timer)
    if spec.firing is not None:
        run_begins(state, spec.firing, key)


def _load_queues(state: State, tables: Tables) -> Iterator[None]:
    """Limited queues and their gates; sessions and jobs must be there already: they are what is counted."""
    for key, value in tables(QUEUES):
        queue = state.limited[key.decode()] = codec.decode_queue(value)
        _must_be(QUEUES, key, queue.name.encode())
        if queue.timer is not None:
            index_timer(state, key, queue.timer)
        if queue.sweep is not None and queue.sweep.timer is not None:
            index_timer(state, key, queue.sweep.timer)
        queues.make_gate(state, queue)
        yield
    if state.board.gates:
        queues.count_under_way(state, state.board.gates)
    for key, value in tables(KEY_WINDOWS):
        window = codec.decode_key_window(value)
        gate = state.board.gates.get(window.queue)
        if gate is None:
            raise StoredStateDamaged(f"a key's rate is counted for queue {window.queue!r}, which has none")
        queues.index_key_window(state, gate, window)
        if window.timer is not None:
            index_timer(state, key, window.timer)
        yield


def _load_unique_windows(state: State, tables: Tables) -> Iterator[None]:
    for key, value in tables(UNIQUE_WINDOWS):
        window = state.unique_windows[key] = codec.decode_unique_window(value)
        state.unique[(window.type, window.unique_key)] = window.job_id
        if window.timer is not None:
            index_timer(state, key, window.timer)
        yield


def _requests(tables: Tables) -> Iterator[tuple[bytes, codec.Remembered]]:
    for key, value in tables(REQUESTS):
        yield key, codec.decode_remembered(value)


def _check_counts(state: State) -> None:
    for live in LIVE_STATES:
        found = sum(queue[live] for queue in state.queues.values())
        if found != state.counts[live]:
            told = state.counts[live]
            raise StoredStateDamaged(f"{found} jobs are {live.word}, the core record says {told}")
