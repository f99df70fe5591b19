"""The machine: applies log entries, one at a time, in order, and says what each did.

Promises: it never raises for what a log entry says (refusals are values) and reads nothing outside but the
history port.  It raises for what concerns this node: a history that does not answer, an entry this version
does not understand, exhausted memory, a bug in evolve.  After that it must not be used again.
Used by the coordinator and by the simulator.
"""

from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any, Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import Job, TimerKind
from orchestrix_raft.domain.node import OVER
from orchestrix_raft.machine import (
    attempts,
    audit,
    codec,
    digest,
    drains,
    generations,
    jobs,
    keeping,
    levels,
    loading,
    nodes,
    queues,
    requests,
    sessions,
    unique,
)
from orchestrix_raft.machine.audit_items import AUDIT_COMMANDS
from orchestrix_raft.machine.causes import Actor, Cause, actor_of
from orchestrix_raft.machine.commands import (
    AttachSession,
    Batch,
    CloseSession,
    Command,
    DetachSession,
    DrainNode,
    DrainSession,
    Entry,
    ExpireSession,
    Forget,
    ForgetAudit,
    MarkContents,
    MigrateRecords,
    MoveSessions,
    NodeHealthChanged,
    NodeStarted,
    NodeStopped,
    RaiseGeneration,
    RaiseLevel,
    RemoveNode,
    ResumeSession,
    UndrainNode,
)
from orchestrix_raft.machine.dispatch import dispatch
from orchestrix_raft.machine.events import Event, TimerSetAside
from orchestrix_raft.machine.evolve import EVOLVE
from orchestrix_raft.machine.history import CORE_KEY, LIVE_JOBS, NODES, SESSIONS, SINGLES, History
from orchestrix_raft.machine.items import ITEMWISE, LOCAL, Trace
from orchestrix_raft.machine.port import Applied, ChangeLog, Gap, Resolved, Result
from orchestrix_raft.machine.records import Records
from orchestrix_raft.machine.rules import RULES, Rules
from orchestrix_raft.machine.schedule_items import SCHEDULE_COMMANDS, follow_runs
from orchestrix_raft.machine.state import State
from orchestrix_raft.machine.timers import Item, TimerHeap

Decide = Callable[[State, Any], tuple[Event, ...] | Rejected]

DECIDE: Final = MappingProxyType[type, Decide](
    {
        AttachSession: sessions.decide_attach,
        ResumeSession: sessions.decide_resume,
        DetachSession: sessions.decide_detach,
        DrainSession: sessions.decide_drain,
        CloseSession: sessions.decide_close,
        NodeStarted: nodes.decide_started,
        NodeStopped: nodes.decide_stopped,
        NodeHealthChanged: nodes.decide_health,
        RemoveNode: nodes.decide_removed,
        Forget: keeping.decide_forget,
        DrainNode: drains.decide_drain,
        UndrainNode: drains.decide_undrain,
        MoveSessions: drains.decide_moves,
        ExpireSession: drains.decide_expire,
        ForgetAudit: audit.decide_forget,
        RaiseGeneration: generations.decide_raise,
        MarkContents: generations.decide_mark,
        RaiseLevel: levels.decide_raise,
        MigrateRecords: levels.decide_migrate,
    }
)
"""Commands that are decided as a whole."""

STEPWISE: Final = MappingProxyType[type, Callable[[State, Any, Trace], Result]](
    {**ITEMWISE, **SCHEDULE_COMMANDS, **AUDIT_COMMANDS}
)
"""Commands that are decided and evolved step by step."""

DUE: Final = MappingProxyType[int, Callable[[State, bytes], tuple[Event, ...]]](
    {
        TimerKind.READY_AT_ELAPSED: jobs.decide_ready,
        TimerKind.READY_AT_WALL: jobs.decide_ready,
        TimerKind.TIMEOUT: attempts.decide_timeout,
        TimerKind.FORCED_END: attempts.decide_forced_end,
        TimerKind.SESSION_DEADLINE: sessions.decide_expiry,
        TimerKind.QUEUE_WINDOW: queues.decide_queue_window,
        TimerKind.KEY_WINDOW: queues.decide_key_window,
        TimerKind.KEY_SWEEP: queues.decide_keys_swept,
        TimerKind.UNIQUE_WINDOW: unique.decide_window_end,
        TimerKind.EXPIRY: jobs.decide_expired,
        TimerKind.RETRY_LIMIT: jobs.decide_too_old,
    }
)
"""What a due timer means."""


class Machine:
    """One replica's state and the way to change it."""

    def __init__(self, history: History, changes: ChangeLog, rules: Rules = RULES) -> None:
        """An empty state.  `history` must answer what was put into `changes`.  rules: of this version."""
        self._records = Records(history, changes)
        self._rules = rules
        self.state = State(self._records, rules)

    def apply(self, index: int, term: int, entry: Entry) -> Applied:
        """Apply the entry at `index`; ValueError if that is not beyond the newest applied one, TooOld if this
        version cannot: then nothing of it is handed over."""
        state = self.state
        if index <= state.index:
            raise ValueError(f"entry {index} after entry {state.index}")
        batches = levels.decode_batches(self._rules, index, entry)
        state.index = index
        state.term = term
        state.elapsed_ms = max(state.elapsed_ms, entry.elapsed_ms)
        state.wall_ms = max(state.wall_ms, entry.wall_ms)
        trace = Trace()
        requests.expire(state)
        _run_due(state, trace)
        _settle(state, trace)
        if trace.events:
            trace.causes.append(Cause(0, Actor.TIME, ""))
        for batch in batches:
            _apply_batch(state, batch, trace)
        encoded = codec.encode_events(trace.events)
        state.digest = digest.advance(state.digest, index, state.elapsed_ms, state.wall_ms, encoded)
        self._write()
        return Applied(
            trace.events,
            trace.resolved,
            trace.gaps,
            trace.fenced,
            trace.causes,
            encoded,
            tuple(trace.faults),
        )

    def load(self, tables: Callable[[str], Iterator[tuple[bytes, bytes]]]) -> None:
        """Replace the state by what `tables(name)` holds (all pairs of a table, in any order)."""
        for _ in self.load_in_steps(tables):
            pass

    def load_in_steps(self, tables: Callable[[str], Iterator[tuple[bytes, bytes]]]) -> Iterator[int]:
        """`load` in slices: yields the number of records read so far; the state changes at the end."""
        state = State(self._records, self._rules)
        yield from loading.load(state, tables)
        self.state = state

    def find_job(self, job_id: bytes) -> Job | None:
        """A job, live or finished; HistoryUnavailable if the disk cannot say."""
        return self.state.jobs.get(job_id) or self._records.finished_job(job_id)

    def core_record(self) -> bytes:
        """Counters, clocks and digest, as they stand, encoded for table SINGLES."""
        state = self.state
        return codec.encode_record(
            codec.Core(
                state.index,
                state.term,
                state.elapsed_ms,
                state.wall_ms,
                state.counter,
                state.generation,
                state.token_counter,
                state.digest,
                tuple(state.counts),
                tuple(state.totals),
                state.set_aside,
                tuple(state.oldest),
            )
        )

    def _write(self) -> None:
        """Hand over what the entry changed, each record once."""
        state = self.state
        put = state.records.flush().put
        encode = codec.encode_record
        for job_id, job in state.touched_jobs.items():
            put(LIVE_JOBS, job_id, None if job is None else encode(job))
        for session_id, session in state.touched_sessions.items():
            put(SESSIONS, session_id, None if session is None else encode(session))
        for node_id, node in state.touched_nodes.items():
            put(NODES, node_id.encode(), None if node is None else encode(node))
        if state.touched_rest:
            for table, entities in state.touched_rest.items():
                for key, entity in entities.items():
                    put(table, key, None if entity is None else encode(entity))
            state.touched_rest.clear()
        state.touched_jobs.clear()
        state.touched_sessions.clear()
        state.touched_nodes.clear()
        state.divide()
        put(SINGLES, CORE_KEY, self.core_record())


def _apply_batch(state: State, batch: Batch, trace: Trace) -> None:
    if not batch.node_id:
        for command in batch.commands:
            _apply_command(state, "", command, trace)
        return
    origin = (batch.node_id, batch.incarnation)
    node = state.nodes.get(batch.node_id)
    if node is None or node.incarnation != batch.incarnation or node.health in OVER:
        trace.fenced.append(origin)
        return
    if batch.first > node.sequence + 1:
        trace.gaps.append(Gap(*origin, node.sequence + 1))
        return
    for sequence, command in enumerate(batch.commands, batch.first):
        if sequence <= node.sequence:
            continue  # applied before: sent again
        result = _apply_command(state, batch.node_id, command, trace)
        replaced = state.nodes.get(batch.node_id) is not node
        if not replaced:
            node.sequence = sequence
            state.touched_nodes[batch.node_id] = node
        trace.resolved.append(Resolved(*origin, sequence, result))
        if replaced or node.health in OVER:  # it has just ended itself
            if command is not batch.commands[-1]:
                trace.fenced.append(origin)
            return


def _apply_command(state: State, node_id: str, command: Command, trace: Trace) -> Result:
    if state.rules.needs:
        refusal = state.rules.refusal(command, state.level)
        if refusal is not None:
            return refusal
    stepwise = STEPWISE.get(type(command))
    first = len(trace.events)
    actor, name = actor_of(state.sessions, node_id, command)
    result = _apply_whole(state, command, trace) if stepwise is None else stepwise(state, command, trace)
    _settle(state, trace)
    if len(trace.events) > first:
        trace.causes.append(Cause(first, actor, name))
    return result


def _settle(state: State, trace: Trace) -> None:
    """What follows from what has just happened: from the end of runs, and who is assigned.

    Nothing is left for the next entry: a node rebuilt in between would not know of it.
    """
    book = state.book
    if book.ended:
        follow_runs(state, trace)
    dispatch(state, trace.events)
    while book.ended:  # dispatching has ended runs whose time is over
        follow_runs(state, trace)
        dispatch(state, trace.events)


def _decide(state: State, command: Command) -> tuple[Event, ...] | Rejected:
    return DECIDE[type(command)](state, command)


def _apply_whole(state: State, command: Command, trace: Trace) -> Result:
    verdict = trace.judged(_decide, state, command)
    if isinstance(verdict, Rejected):
        return verdict
    for event in verdict:
        EVOLVE[type(event)](state, event)
        trace.events.append(event)
    if isinstance(command, AttachSession | ResumeSession):
        return state.sessions[command.session_id].epoch
    if isinstance(command, NodeStarted):
        return state.nodes[command.node_id].incarnation
    return None


def _run_due(state: State, trace: Trace) -> None:
    """Let due timers act: elapsed time first, then wall time, at most TIMERS_PER_ENTRY in all."""
    budget = limits.TIMERS_PER_ENTRY
    clocks: tuple[tuple[TimerHeap, int], ...] = (
        (state.elapsed_timers, state.elapsed_ms),
        (state.wall_timers, state.wall_ms),
    )
    for heap, now_ms in clocks:
        while budget:
            item = heap.first_by(state, (now_ms + 1,))
            if item is None:
                break
            budget -= 1
            _run_timer(state, item, trace)


def _run_timer(state: State, item: Item, trace: Trace) -> None:
    _, _, kind, key = item
    verdict: tuple[Event, ...]
    try:
        verdict = DUE[kind](state, key)
    except LOCAL:
        raise
    except Exception as fault:  # a bug: the timer is set aside, the same on every node
        trace.faults.append(fault)
        verdict = (TimerSetAside(kind, key, type(fault).__name__),)
    for event in verdict:
        EVOLVE[type(event)](state, event)
        trace.events.append(event)
