"""What must hold of limited queues, their gates and unique keys after every entry.

Part of `invariants.check`; every function names what is wrong, one line each.
"""

from collections import Counter
from collections.abc import Iterator

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import JobState, TimerKind, UniqueScope
from orchestrix_raft.domain.queue import QueueOptions, RateLimitOptions, SlidingWindowRateLimiter
from orchestrix_raft.machine.board import Lane
from orchestrix_raft.machine.gates import Gate
from orchestrix_raft.machine.queues import units
from orchestrix_raft.machine.records import pair_key
from orchestrix_raft.machine.rows import Line, ReadyItem
from orchestrix_raft.machine.shards import SHARDS
from orchestrix_raft.machine.state import State
from orchestrix_raft.machine.unique import holds


def faults_in_queues(state: State) -> Iterator[str]:
    """Limited queues, key windows and gates belong to each other and count what there is."""
    gates = state.board.gates
    if gates.keys() != state.limited.keys() or any(gates[n].queue is not q for n, q in state.limited.items()):
        yield "gates and limited queues differ"
    running: dict[str, Counter[str]] = {name: Counter() for name in gates}
    for session in state.sessions.values():
        for token, _ in session.leftovers.items():
            if token not in session.slots:
                yield f"token {token} left something over and has no slot"
        if len(units(state, session)) != len(session.slots):
            yield f"session {session.session_id.hex()}: slots and units differ"
        for name, key in units(state, session):
            if name in running:
                running[name][key] += 1
    for name, gate in gates.items():
        sweep = gate.queue.sweep
        if gate.queue.name != name or (gate.queue.options == QueueOptions() and sweep is None):
            yield f"queue {name} is not limited or filed under another name"
        by_key = {key: count for key, count in running[name].items() if key}
        counted = {key: gate.keys.get(key) for key in gate.keys}
        if gate.running != running[name].total() or counted != by_key or len(gate.keys) != len(by_key):
            yield f"queue {name} counts {gate.running} running, {counted}; there are {running[name]}"
        if sweep is not None and (not 0 < sweep.done < SHARDS or not (sweep.timer or state.set_aside)):
            yield f"queue {name}: its keys follow a change up to {sweep.done} and do not go on"
        yield from _faults_in_window(
            f"queue {name}", gate.queue.window, gate.queue.options.rate, gate.queue.timer is not None
        )
        yield from _faults_in_keys(state, name, gate)
    if sum(len(gate.windows) for gate in gates.values()) != len(state.key_windows):
        yield "the index of key windows differs from the gates"


def _faults_in_window(
    name: str, window: SlidingWindowRateLimiter, rate: RateLimitOptions | None, timed: bool
) -> Iterator[str]:
    if window.used != sum(window.counts) or len(window.counts) != len(window.stamps):
        yield f"{name}: its window says {window.used}, and holds {window.counts}"
    if any(early >= late for early, late in zip(window.stamps, window.stamps[1:], strict=False)):
        yield f"{name}: its window is out of order"
    if min(window.counts, default=1) < 1:
        yield f"{name}: its window holds what is none"
    if len(window.stamps) > limits.RATE_STAMPS + limits.RATE_SUBWINDOWS + 2:
        yield f"{name}: its window holds {len(window.stamps)} stamps"
    if rate is None and (window.used or timed):
        yield f"{name} has no rate and counts it"
    if rate is not None and timed != (window.used >= rate.count):
        yield f"{name}: {window.used} of {rate.count} used, timer {timed}"


def _faults_in_keys(state: State, name: str, gate: Gate) -> Iterator[str]:
    for key in gate.windows:
        window = gate.windows.get(key)
        rate = gate.rules(key).key_rate
        if rate is None or window is None:
            yield f"queue {name} has no rate for key {key!r} and counts it"
            continue
        if state.key_windows.get(pair_key(name, key)) is not window or window.key != key:
            yield f"queue {name}: the window of key {key!r} is filed wrongly"
        full = window.window.used >= rate.count
        yield from _faults_in_window(f"queue {name}, key {key!r}", window.window, rate, full)
        if not window.window.used or (window.timer is None and not state.set_aside):
            yield f"queue {name}: the window of key {key!r} is empty or has no timer"


def faults_in_lines(state: State, lane: Lane) -> Iterator[str]:
    """The lines of one lane hold its jobs with a key, and each is found or parked for a reason."""
    gate = lane.gate
    name = f"lane {lane.key}"
    if gate is not state.board.gates.get(lane.key[0]):
        yield f"{name} stands before another gate than its queue"
    for key, line in lane.keyed.items():
        if line.key != key or not line.count:
            yield f"{name}: the line of key {key!r} is empty or filed wrongly"
        if line.parked:
            parked = gate is not None and gate.parked.get(key, {}).get(lane.key) == (lane, line)
            if not parked or gate is None or gate.admits(key) or line.entry is not None:
                yield f"{name}: the line of key {key!r} is parked for no reason"
        elif line.entry is None or not any(entry is line.entry for entry in lane.open):
            yield f"{name}: the line of key {key!r} is lost"
        elif line.entry[:2] > min(_ready(state, line))[:2]:
            yield f"{name}: the line of key {key!r} stands too far behind"
    if lane.count - lane.rows.length != sum(line.count for line in lane.keyed.values()):
        yield f"{name}: {lane.count} jobs, {lane.rows.length} without a key"
    for key, line in lane.keyed.items():
        if len(line) > 3 * line.count + 20:
            yield f"{name}: the line of key {key!r} is full of stale items"
    if len(lane.open) > 3 * len(lane.keyed) + 200:
        yield f"{name}: its heap is full of stale entries"


def _ready(state: State, items: Line) -> list[ReadyItem]:
    return [
        item
        for item in items
        if (job := state.jobs.get(item[2])) is not None
        and job.state is JobState.PENDING
        and job.seq == item[1]
    ]


def faults_in_parking(state: State) -> Iterator[str]:
    """Nothing is parked that is not there, nothing waits at an open gate."""
    for name, gate in state.board.gates.items():
        for key, lines in gate.parked.items():
            for place, (lane, line) in lines.items():
                known = state.board.lanes.get(place) is lane and lane.keyed.get(key) is line
                if not known or not line.parked:
                    yield f"queue {name}: a line of key {key!r} is parked and gone"
        for lane in gate.waiting:
            if state.board.lanes.get(lane.key) is not lane:
                yield f"queue {name}: a lane waits and is gone"


def held_back(state: State, lane: Lane) -> bool:
    """Whether the limits of its queue keep every job of a lane waiting."""
    gate = lane.gate
    if gate is None:
        return False
    if not lane.rows.length and all(line.parked and not gate.admits(key) for key, line in lane.keyed.items()):
        return True
    return not gate.is_open() and gate.waits(lane)


def faults_in_unique(state: State) -> Iterator[str]:
    """The index of unique keys is what jobs and windows say."""
    keys = {}
    for job_id, job in state.jobs.items():
        spec = job.spec
        if spec.unique_key and holds(job):
            if (spec.type, spec.unique_key) in keys:
                yield f"two live jobs have the unique key {spec.unique_key!r}"
            keys[(spec.type, spec.unique_key)] = job_id
    for place, window in state.unique_windows.items():
        key = (window.type, window.unique_key)
        if place != pair_key(*key) or key in keys:
            yield f"the window of unique key {window.unique_key!r} is filed wrongly, or a job has the key"
        if window.timer is None and not state.set_aside:
            yield f"the unique key {window.unique_key!r} is taken for ever"
        keys[key] = window.job_id
    if keys != state.unique:
        yield "the index of unique keys differs from jobs and windows"
    for job_id, job in state.jobs.items():
        rule = job.spec.unique
        begun = rule is not None and rule.scope is UniqueScope.UNTIL_STARTED and job.token
        if begun and state.unique.get((job.spec.type, job.spec.unique_key)) == job_id:
            yield f"job {job_id.hex()} has started and has its unique key"


def place_is_timers(kind: int) -> bool:
    """Whether a timer of this kind shares its number with its job's place in line."""
    return kind in (TimerKind.RETRY_LIMIT, TimerKind.EXPIRY)
