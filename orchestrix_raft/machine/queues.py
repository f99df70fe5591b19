"""Queues: pausing and limiting them, and counting what their limits count.

A unit of concurrency is held from the assignment until the worker reports that the handler ended, or until
its session ends: an attempt that was given up while its handler goes on still uses what the limit protects.
A rate counts assignments.  Both are decided here, in the log's order and by the log's elapsed time, so no
failover lets more through.
"""

from collections.abc import Mapping
from typing import Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import ASSIGNED, Job, JobSpec, Timer, TimerKind
from orchestrix_raft.domain.queue import (
    KeySweep,
    KeyWindow,
    Queue,
    QueueChange,
    QueueOptions,
    RateLimitOptions,
    SlidingWindowRateLimiter,
    changed,
    fault_in_change,
    same_for_keys,
    strictest_for_keys,
)
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine.events import KeysSwept, QueueConfigured, WindowPassed
from orchestrix_raft.machine.gates import Gate
from orchestrix_raft.machine.history import KEY_WINDOWS, QUEUES
from orchestrix_raft.machine.records import pair_key
from orchestrix_raft.machine.shards import SHARDS
from orchestrix_raft.machine.state import State
from orchestrix_raft.machine.timers import set_timer

_NONE: Final = QueueOptions()

# ---- decide


def decide_configure(state: State, name: str, change: QueueChange) -> QueueConfigured | Rejected | None:
    """A partial update; None: nothing changes by it."""
    fault = fault_in_change(name, change)
    if fault:
        return Rejected(Code.INVALID_ARGUMENT, "QUEUE_OPTIONS_INVALID", fault)
    known = state.limited.get(name)
    before = _NONE if known is None else known.options
    after = changed(before, change)
    if after == before:
        return None
    if known is None and len(state.limited) >= limits.QUEUES_CONFIGURED:
        return Rejected(
            Code.RESOURCE_EXHAUSTED,
            "QUEUES_LIMIT",
            f"{limits.QUEUES_CONFIGURED} queues are paused or limited already; clear those no longer needed",
        )
    return QueueConfigured(name, after)


def fault_in_key_count(state: State, spec: JobSpec) -> Rejected | None:
    """Whether the key of a job, in a queue with a rate per key, would be one too many to count."""
    if not spec.key or len(state.key_windows) < limits.KEY_WINDOWS:
        return None
    gate = state.board.gates.get(spec.queue)
    if gate is None or spec.key in gate.windows or gate.rules(spec.key).key_rate is None:
        return None
    return Rejected(
        Code.RESOURCE_EXHAUSTED,
        "KEY_WINDOWS_LIMIT",
        f"the rates of {limits.KEY_WINDOWS} keys are being counted; use fewer keys or shorter windows",
    )


def decide_queue_window(state: State, key: bytes) -> tuple[WindowPassed]:
    """The oldest dispatch of a full window counts no more (timer)."""
    return (WindowPassed(key.decode(), ""),)


def decide_key_window(state: State, key: bytes) -> tuple[WindowPassed]:
    """Likewise for a key, or none of its dispatches counts any more (timer)."""
    window = state.key_windows[key]
    return (WindowPassed(window.queue, window.key),)


def decide_keys_swept(state: State, key: bytes) -> tuple[KeysSwept]:
    """More keys follow the changed limits of their queue (timer)."""
    return (KeysSwept(key.decode()),)


# ---- evolve


def evolve_configured(state: State, event: QueueConfigured) -> None:
    """These limits hold from now on; what was dispatched before still counts as far as it is known."""
    name, options = event.name, event.options
    gate = state.board.gates.get(name)
    if gate is None:
        queue = state.limited[name] = Queue(name, _NONE, SlidingWindowRateLimiter())
        gate = make_gate(state, queue)
        count_under_way(state, {name: gate})
    queue = gate.queue
    before = queue.options
    queue.options = options
    if options.rate is None:
        queue.window = SlidingWindowRateLimiter()
    _time_queue(state, queue)
    state.board.opened[name] = gate
    if not same_for_keys(options, before):
        _begin_sweep(state, queue, before)
        _sweep(state, gate)
    _store(state, gate)


def _begin_sweep(state: State, queue: Queue, before: QueueOptions) -> None:
    """New limits hold at once for every key as far as they are stricter; each gets looser ones in its turn.
    A sweep that is under way begins anew."""
    if queue.sweep is not None:
        before = queue.sweep.before
        set_timer(state, queue.sweep, queue.name.encode(), None)
    queue.sweep = KeySweep(strictest_for_keys(before, queue.options))


def evolve_keys_swept(state: State, event: KeysSwept) -> None:
    """The new limits hold for some more keys."""
    gate = state.board.gates[event.queue]
    _sweep(state, gate)
    _store(state, gate)


def _sweep(state: State, gate: Gate) -> None:
    """The next parts of the keys: KEYS_AT_ONCE of those of which something is counted, and the rest of a
    part.  What is waited for is among them, because only what is counted makes a key wait."""
    queue = gate.queue
    sweep = queue.sweep
    if sweep is None:
        return
    low = high = sweep.done
    counted = 0
    for windows, keys in zip(gate.windows.sizes(low), gate.keys.sizes(low), strict=True):
        if counted >= limits.KEYS_AT_ONCE:
            break
        counted += windows + keys
        high += 1
    sweep.done = high
    for key in sorted({*gate.windows.within(low, high), *gate.keys.within(low, high)}):
        if key in gate.windows:
            _time_key(state, gate, key)
        if key in gate.parked and gate.admits(key):
            state.board.open_keys(gate, (key,))
    place = queue.name.encode()
    if high == SHARDS:
        set_timer(state, sweep, place, None)
        queue.sweep = None
        return
    state.counter += 1
    due_ms = state.elapsed_ms + limits.KEYS_PAUSE_MS
    set_timer(state, sweep, place, Timer(TimerKind.KEY_SWEEP, due_ms, state.counter))


def _store(state: State, gate: Gate) -> None:
    """A queue without limits needs no record, once no key of it is held by earlier ones."""
    queue = gate.queue
    if queue.options != _NONE or queue.sweep is not None:
        state.touch(QUEUES, queue.name.encode(), queue)
        return
    state.board.drop_gate(gate)
    del state.limited[queue.name]
    state.touch(QUEUES, queue.name.encode(), None)


def evolve_window_passed(state: State, event: WindowPassed) -> None:
    """Room for more, or nothing left to count."""
    gate = state.board.gates[event.queue]
    if not event.key:
        _time_queue(state, gate.queue)
        state.board.opened[event.queue] = gate
        state.touch(QUEUES, event.queue.encode(), gate.queue)
        return
    _time_key(state, gate, event.key)
    if event.key in gate.parked and gate.admits(event.key):
        state.board.open_keys(gate, (event.key,))


def count_assignment(state: State, spec: JobSpec) -> None:
    """A job of any queue was assigned."""
    gate = state.board.gates.get(spec.queue)
    if gate is None:
        return
    gate.take(spec.key)
    queue = gate.queue
    options = queue.options
    if options.rate is not None:
        queue.window.take(options.rate, state.elapsed_ms)
        if queue.window.used >= options.rate.count:
            _time_queue(state, queue)
        state.touch(QUEUES, queue.name.encode(), queue)
    if spec.key:
        key_rate = gate.rules(spec.key).key_rate
        if key_rate is not None:
            _count_key(state, gate, key_rate, spec.key)


def _count_key(state: State, gate: Gate, rate: RateLimitOptions, key: str) -> None:
    window = gate.windows.get(key)
    if window is None:
        window = KeyWindow(gate.queue.name, key, SlidingWindowRateLimiter())
        index_key_window(state, gate, window)
    window.window.take(rate, state.elapsed_ms)
    if window.timer is None or window.window.used >= rate.count:
        _time_key(state, gate, key)
    else:
        state.touch(KEY_WINDOWS, pair_key(gate.queue.name, key), window)


def free_unit(state: State, queue: str, key: str) -> None:
    """What a job of a queue held is free: its handler has ended, or its session."""
    gate = state.board.gates.get(queue)
    if gate is None:
        return
    gate.free(key)
    state.board.opened[queue] = gate
    if key in gate.parked and gate.admits(key):
        state.board.open_keys(gate, (key,))


def keep_unit(state: State, session: Session, job: Job) -> None:
    """An attempt is over and its handler was not heard of: what it holds is held on."""
    session.leftovers[job.token] = (job.spec.queue, job.spec.key)
    state.touched_sessions[session.session_id] = session


# ---- indexes


def make_gate(state: State, queue: Queue) -> Gate:
    """Put a gate before a queue; what is under way is not counted yet."""
    gate = Gate(queue)
    state.board.add_gate(gate)
    return gate


def count_under_way(state: State, gates: Mapping[str, Gate]) -> None:
    """Let new gates count what is assigned, in one walk over the sessions."""
    for session in state.sessions.values():
        for name, key in units(state, session):
            gate = gates.get(name)
            if gate is not None:
                gate.take(key)


def units(state: State, session: Session) -> list[tuple[str, str]]:
    """(queue, key) of everything that a session's slots hold."""
    found = list(session.leftovers.values())
    for token, job_id in session.slots.items():
        job = state.jobs.get(job_id)
        if job is not None and job.token == token and job.state in ASSIGNED:
            found.append((job.spec.queue, job.spec.key))
    return found


def index_key_window(state: State, gate: Gate, window: KeyWindow) -> None:
    """Where a key's window is found."""
    gate.windows[window.key] = window
    state.key_windows[pair_key(window.queue, window.key)] = window


def _time_queue(state: State, queue: Queue) -> None:
    """Forget what has passed; a full window has a timer for the moment when it has room again."""
    name = queue.name.encode()
    rate = queue.options.rate
    set_timer(state, queue, name, None)
    if rate is None:
        return
    queue.window.forget(rate, state.elapsed_ms)
    if queue.window.used >= rate.count:
        state.counter += 1
        due_ms = queue.window.opens_ms(rate)
        set_timer(state, queue, name, Timer(TimerKind.QUEUE_WINDOW, due_ms, state.counter))


def _time_key(state: State, gate: Gate, key: str) -> None:
    """The same for a key; a window that is not full has one for the moment when it is empty and goes."""
    place = pair_key(gate.queue.name, key)
    window = state.key_windows[place]
    rate = gate.rules(key).key_rate
    set_timer(state, window, place, None)
    limiter = window.window
    if rate is not None:
        limiter.forget(rate, state.elapsed_ms)
    if rate is None or not limiter.used:
        del gate.windows[key]
        del state.key_windows[place]
        state.touch(KEY_WINDOWS, place, None)
        return
    if limiter.used >= rate.count:
        due_ms = limiter.opens_ms(rate)
    else:  # forgetting has time: many keys together cost one tick
        due_ms = -(-limiter.empty_ms(rate) // limits.FORGET_GRAIN_MS) * limits.FORGET_GRAIN_MS
    state.counter += 1
    set_timer(state, window, place, Timer(TimerKind.KEY_WINDOW, due_ms, state.counter))
    state.touch(KEY_WINDOWS, place, window)
