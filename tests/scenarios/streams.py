"""Random streams of entries: small numbers in, plausible and implausible commands out.

A step is four numbers; what they mean depends on the state at that moment, so that most commands name
something that exists, and some are stale, repeated, out of order or aimed at nothing.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import JobSpec, JobState, OnConflict, UniqueRule, UniqueScope
from orchestrix_raft.domain.keeping import CANCELLABLE, PURGEABLE, RETRYABLE, JobFilter, Kept
from orchestrix_raft.domain.node import OVER, Health
from orchestrix_raft.domain.queue import LIMITS, QueueChange, RateLimitOptions
from orchestrix_raft.domain.report import Completed, Failed, Outcome, ProgressMark, Released, StartedMark
from orchestrix_raft.domain.retry import RetryPolicy
from orchestrix_raft.machine import board, codec, gates, heap, jobs, rows, state
from orchestrix_raft.machine.commands import (
    AttachSession,
    Batch,
    CancelJobs,
    CancelWhere,
    CloseSession,
    Command,
    ConfigureQueue,
    DetachSession,
    DrainNode,
    DrainSession,
    Enqueue,
    ExpireSession,
    Forget,
    Move,
    MoveSessions,
    NodeHealthChanged,
    NodeStarted,
    NodeStopped,
    Observe,
    PurgeJobs,
    PurgeWhere,
    RemoveNode,
    Report,
    ResumeSession,
    RetryJobs,
    RetryWhere,
    UndrainNode,
)
from orchestrix_raft.machine.state import State
from tests.scenarios.schedule_streams import SCHEDULE_COMMANDS, small_schedule_limits

Step = tuple[int, int, int, int]

JUMPS_MS = (0, 1, 50, 1_000, 5_000, 10_000, 30_000, 600_000)
QUEUES = (("a",), ("a", "b"), ("b", "c"))
LABELS = ((), ("eu",), ("eu", "gpu"))
NODES = ("n1", "n2")


def _steps(seed: int, length: int) -> list[Step]:
    """The first steps of one endless stream: a failure shrinks to the shortest prefix that shows it."""
    chance = random.Random(seed)
    return [(*(chance.randrange(256) for _ in range(4)),) for _ in range(length)]  # type: ignore[misc]


steps = st.builds(_steps, st.integers(0, 2**32), st.integers(1, 150))


def small_limits(patch: pytest.MonkeyPatch) -> None:
    """Make every bound so small that random streams run into it."""
    patch.setattr(limits, "LIVE_JOBS", 20)
    patch.setattr(limits, "SESSIONS", 6)
    patch.setattr(limits, "LOSSES_MAX", 3)
    patch.setattr(limits, "ATTEMPTS_KEPT", 2)
    patch.setattr(limits, "TIMERS_PER_ENTRY", 3)
    patch.setattr(limits, "REQUESTS_KEPT", 3)
    patch.setattr(limits, "FORGET_AT_ONCE", 3)
    patch.setattr(limits, "FILTER_ROWS", 4)
    patch.setattr(limits, "KEEP_IDS_MS", 20_000)
    patch.setattr(limits, "EMPTY_LANES", 2)
    patch.setattr(limits, "QUEUES_CONFIGURED", 2)
    patch.setattr(limits, "KEY_WINDOWS", 3)
    patch.setattr(limits, "UNIQUE_WINDOWS", 2)
    patch.setattr(limits, "KEYS_AT_ONCE", 1)
    patch.setattr(limits, "RATE_STAMPS", 2)  # 3 and 4 are counted in sub-windows
    patch.setattr(limits, "RATE_SUBWINDOWS", 4)
    patch.setattr(gates, "_SLACK", 0)
    patch.setattr(rows, "_BLOCK", 3)
    patch.setattr(rows, "_LINE_SLACK", 0)
    patch.setattr(rows, "_MOVED", 3)
    patch.setattr(jobs, "_INLINE", 8)
    patch.setattr(state, "FEW", 1)
    patch.setattr(board, "_SLACK", 0)
    patch.setattr(heap, "_SLACK", 0)
    patch.setattr(heap, "_MOVED", 1)
    small_schedule_limits(patch)


def session_id(number: int) -> bytes:
    return bytes([number % 8]) * 16


def job_id(state: State, number: int) -> bytes:
    """One of 40 ids; the window moves on as jobs end."""
    return (sum(state.totals) // 2 + number % 40).to_bytes(2, "big") * 8


def _spec(state: State, n: int, a: int, b: int) -> JobSpec:
    return JobSpec(
        job_id(state, n),
        f"t{a % 2}",
        "abc"[b % 3],
        b"0" * (a % 12),
        priority=b % 4 - 1,
        run_at_ms=1_000 if a % 7 == 0 else 0,
        delay_ms=JUMPS_MS[b % 4] if a % 7 else 0,
        timeout_ms=5_000 if a % 3 == 0 else 0,
        retry_for_ms=(1_000, 5_000, 30_000)[b % 3] if (a + n) % 3 == 0 else 0,
        retry=RetryPolicy(max_retries=b % 3, delay_ms=1_000, jitter_percent=10 if a % 2 else 0),
        unique_key=f"k{b % 3}" if a % 5 == 0 else "",
        labels=LABELS[(a + b) % 3],
        key=("", "", "x", "y")[(a + n) % 4],
        unique=_rule(b, n) if a % 10 == 0 else None,
        expires_ms=JUMPS_MS[n % 6] if (a + b) % 6 == 0 else 0,
    )


def _rule(b: int, n: int) -> UniqueRule:
    scope = UniqueScope(b % 3 + 1)
    return UniqueRule(scope, 30_000 if scope is UniqueScope.WINDOW else 0, OnConflict(n % 3 + 1))


def _configure(state: State, a: int, b: int, c: int) -> Command:
    """Half of what is said takes something back."""
    rate = RateLimitOptions(c % 4 + 1, JUMPS_MS[b % 5 + 2])
    change = (
        QueueChange(paused=c % 3 == 0),
        QueueChange(rate=rate),
        QueueChange(key_rate=rate),
        QueueChange(concurrency=c % 3 + 1),
        QueueChange(key_concurrency=c % 2 + 1, paused=False),
        QueueChange(clear=LIMITS[c % 3 :], paused=False),
        QueueChange(clear=LIMITS, paused=b % 8 == 0),
        QueueChange(rate=rate, key_rate=rate, clear=("rate",) if c % 9 == 0 else ("concurrency",)),
    )[(a + b) % 8]
    return ConfigureQueue(bytes([c % 6]) * (c % 3), "abc"[a % 3], change)


def _enqueue(state: State, a: int, b: int, c: int) -> Command:
    return Enqueue(tuple(_spec(state, a + n, b + n, c + n) for n in range(a % 4 + 1)))


def _attach(state: State, a: int, b: int, c: int) -> Command:
    return AttachSession(session_id(a), NODES[b % 2], "w", QUEUES[c % 3], b % 3 + 1, LABELS[(a + b) % 3])


def _some_session(state: State, n: int) -> bytes:
    """Mostly one that exists."""
    known = sorted(state.sessions)
    return session_id(n) if n % 16 == 0 or not known else known[n % len(known)]


def _epoch(state: State, a: int, b: int) -> int:
    session = state.sessions.get(_some_session(state, a))
    return (1 if session is None else session.epoch) - (b % 8 == 0)


def _resume(state: State, a: int, b: int, c: int) -> Command:
    return ResumeSession(_some_session(state, a), NODES[c % 2], _epoch(state, a, b))


def _detach(state: State, a: int, b: int, c: int) -> Command:
    return DetachSession(_some_session(state, a), _epoch(state, a, b))


def _drain(state: State, a: int, b: int, c: int) -> Command:
    return DrainSession(_some_session(state, a))


def _close(state: State, a: int, b: int, c: int) -> Command:
    return CloseSession(_some_session(state, a), _epoch(state, a, b))


def _outcome(state: State, held: tuple[int, bytes], n: int) -> Outcome:
    token, job = held
    match n % 8:
        case 0 | 1 | 2:
            return Completed(job, token, b"1", 1, 2)
        case 3 | 4:
            return Failed(job, token, "e" * (n % 3), 1, 2, retry_in_ms=n - 100, final=n % 5 == 0)
        case 5:
            return Released(job, token)
        case 6:
            return Completed(job, max(1, token - n % 3), b"1", 1, 2)
        case _:
            return Released(job_id(state, n), max(1, state.token_counter - n % 5))


def _report(state: State, a: int, b: int, c: int) -> Command:
    worker = _some_session(state, a)
    session = state.sessions.get(worker)
    slots = sorted(session.slots.items()) if session is not None else []
    chosen = [slots[(b + n) % len(slots)] for n in range(c % 3 + 1)] if slots else [(1, job_id(state, b))]
    return Report(worker, tuple(_outcome(state, held, b + c + n) for n, held in enumerate(chosen)))


def _observe(state: State, a: int, b: int, c: int) -> Command:
    session = state.sessions.get(_some_session(state, a))
    slots = sorted(session.slots.items()) if session is not None else []
    started = tuple(StartedMark(job, token, c) for token, job in slots[: b % 3])
    progress = tuple(ProgressMark(job, token - c % 2, c, "m") for token, job in slots[b % 2 :])
    return Observe(_some_session(state, a), started, progress)


def _cancel(state: State, a: int, b: int, c: int) -> Command:
    return CancelJobs(bytes([c % 6]) * (c % 3), tuple(job_id(state, a + n) for n in range(b % 4)), "why")


def _retry(state: State, a: int, b: int, c: int) -> Command:
    return RetryJobs(bytes([c % 6]) * (c % 3), tuple(job_id(state, a + n) for n in range(b % 4)))


def _purge(state: State, a: int, b: int, c: int) -> Command:
    return PurgeJobs(bytes([c % 6]) * (c % 3), tuple(job_id(state, a + n) for n in range(b % 4)))


def _forget(state: State, a: int, b: int, c: int) -> Command:
    """By age, by number, or both."""
    before_ms = state.wall_ms + 1 - JUMPS_MS[b % 6]
    return Forget(Kept(a % 3 + 1), before_ms, (0, 2, 8, 1_000)[c % 4], a % 5)


def _where(state: State, a: int, b: int, c: int) -> Command:
    """Mostly from the beginning; sometimes in the middle, or at no place at all."""
    live = sorted(state.jobs)
    place = live[b % len(live)] if live else bytes(16)
    cursor = (
        b"",
        b"",
        b"",
        state.wall_ms.to_bytes(8, "big") + b"\0" + place,
        (1 << 50).to_bytes(8, "big") + bytes((5 + b % 3,)) + (state.wall_ms // 2).to_bytes(8, "big") + place,
        bytes(b % 12),
    )[(a + b) % 6]
    allowed = sorted((CANCELLABLE, RETRYABLE, PURGEABLE)[a % 3])
    states = (*allowed[: b % 3 + 1], JobState.DISPATCHED) if b % 9 == 0 else tuple(allowed[b % 3 :])
    queue, job_type = "abc"[c % 3] if a % 4 == 0 else "", "t1" if c % 4 == 0 else ""
    where = JobFilter(states, queue, job_type, max(0, state.wall_ms - JUMPS_MS[c % 5]) if c % 3 == 0 else 0)
    request = bytes([c % 6]) * (c % 3)
    match a % 3:
        case 0:
            return CancelWhere(request, where, cursor, b % 6, "why")
        case 1:
            return RetryWhere(request, where, cursor, b % 6)
        case _:
            return PurgeWhere(request, where, cursor, b % 6)


def _node(state: State, a: int, b: int, c: int) -> Command:
    name = NODES[a % 2]
    node = state.nodes.get(name)
    incarnation = 0 if node is None else node.incarnation - (c % 8 == 0)
    match b % 8:
        case 0 | 1 | 2 | 3:
            return NodeStarted(name, bytes([c % 3]) * 16, "", "")
        case 4 | 5 | 6:
            return NodeHealthChanged(name, incarnation, Health(c % 4 + 1))
        case _:
            return RemoveNode(name, incarnation) if c % 3 == 0 else NodeStopped(name, incarnation)


def _ownership(state: State, a: int, b: int, c: int) -> Command:
    """Drains are taken back more often than they are begun."""
    name = NODES[a % 2]
    node = state.nodes.get(name)
    incarnation = 0 if node is None else node.incarnation - (c % 8 == 0)
    match b % 8:
        case 0 | 1:
            return DrainNode(name, incarnation, c % 4 == 0)
        case 2 | 3 | 4:
            return UndrainNode(name, incarnation)
        case 5:
            return ExpireSession(_some_session(state, a), _epoch(state, a, c))
        case _:
            numbers = range(a, a + 4)
            return MoveSessions(
                tuple(Move(_some_session(state, n), _epoch(state, n, c), NODES[n % 2]) for n in numbers)
            )


_COMMANDS: tuple[Callable[[State, int, int, int], Command], ...] = (
    *[_enqueue] * 5,
    *[_report] * 6,
    *[_attach] * 3,
    *[_resume] * 2,
    _detach,
    _drain,
    _close,
    _observe,
    _cancel,
    _retry,
    _purge,
    *[_forget] * 2,
    *[_where] * 2,
    _node,
    *[_ownership] * 2,
    *[_configure] * 2,
    *SCHEDULE_COMMANDS,
)


class Stream:
    """Turns steps into entries for a machine that is at `state`."""

    def __init__(self) -> None:
        self.elapsed_ms = 0
        self.wall_ms = 0
        self._batches: list[Batch] = []

    def entry(self, state: State, step: Step) -> bytes:
        """The next entry, encoded."""
        kind, a, b, c = step
        self.elapsed_ms += JUMPS_MS[kind % 4] if kind % 8 else JUMPS_MS[a % 8]
        self.wall_ms += JUMPS_MS[b % 5]
        batches: list[Batch] = []
        if not any(node.health not in OVER for node in state.nodes.values()):
            batches.append(codec.unnumbered(NodeStarted(NODES[c % 2], bytes([a % 5]) * 16, "", "")))
        for n in range(kind % 3 if state.nodes else 0):
            command = _COMMANDS[(kind // 3 + n) % len(_COMMANDS)](state, a + n, b, c)
            batches.append(self._batch(state, a + b + c + n, command))
        backwards = 100 if c == 7 else 0  # a new leader with an older clock
        return codec.encode_entry(
            codec.make_entry(self.elapsed_ms - backwards, self.wall_ms - backwards, tuple(batches))
        )

    def _batch(self, state: State, n: int, command: Any) -> Batch:
        alive = [name for name in sorted(state.nodes) if state.nodes[name].health not in OVER]
        names = alive if alive and n % 9 else sorted(state.nodes)
        node = state.nodes[names[n % len(names)]]
        match n % 16:
            case 0 | 1 | 2:
                return codec.unnumbered(command)
            case 3:
                return Batch(node.node_id, node.incarnation - 1, 1, (command,))
            case 4:
                return Batch(node.node_id, node.incarnation, node.sequence + 2, (command,))
            case 5 if self._batches:
                return self._batches[n % len(self._batches)]
            case 6:
                return Batch(node.node_id, node.incarnation, node.sequence, (command, command))
        batch = Batch(node.node_id, node.incarnation, node.sequence + 1, (command,))
        self._batches.append(batch)
        return batch
