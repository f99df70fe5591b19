"""What must hold of the state after every entry, as code.

`check` runs after every step in tests and in the simulation, and when a snapshot is loaded.  It costs a
walk over the live state.  A broken rule raises `Broken`: the state is not to be trusted.
"""

from collections import Counter

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import ASSIGNED, TERMINAL, Job, JobState, TimerKind
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.domain.queue import KeySweep
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.board import Lane, LaneKey, Pool, load_of
from orchestrix_raft.machine.gate_invariants import (
    faults_in_lines,
    faults_in_parking,
    faults_in_queues,
    faults_in_unique,
    held_back,
    place_is_timers,
)
from orchestrix_raft.machine.generations import faults_in_generations
from orchestrix_raft.machine.history import (
    AUDIT,
    FINISHED,
    FINISHED_BY_TIME,
    KEY_WINDOWS,
    LEVEL_KEY,
    LIVE_JOBS,
    NODES,
    QUEUES,
    SCHEDULES,
    SESSIONS,
    SINGLES,
    UNIQUE_WINDOWS,
)
from orchestrix_raft.machine.jobs import CANCELLED_WHY, TIMED_OUT_WHY, stop_of
from orchestrix_raft.machine.keeping import record_of
from orchestrix_raft.machine.levels import faults_in_levels, level_record
from orchestrix_raft.machine.loading import Tables
from orchestrix_raft.machine.records import audit_key
from orchestrix_raft.machine.rows import ReadyItem
from orchestrix_raft.machine.schedule_invariants import faults_in_schedules
from orchestrix_raft.machine.state import LIVE_STATES, STATES, State
from orchestrix_raft.machine.timers import Item, heap_of


class Broken(Exception):
    """An invariant does not hold; the message says which and where."""


def check(machine: Machine) -> None:
    """Raise Broken unless entities and indexes agree and no rule of the product is violated."""
    state = machine.state
    for job_id, job in state.jobs.items():
        _check_job(state, job_id, job)
    _check_slots(state)
    _check_sessions(state)
    _check_drains(state)
    _check_counts(state)
    _check_counters(state)
    _check_timers(state)
    _check_board(state)
    for faults_in in (
        faults_in_unique,
        faults_in_queues,
        faults_in_parking,
        faults_in_schedules,
        faults_in_generations,
        faults_in_levels,
    ):
        for fault in faults_in(state):
            raise Broken(fault)
    _check_bounds(state)


def check_stored(machine: Machine, tables: Tables) -> None:
    """Raise Broken unless what was written is what is in memory, record by record."""
    state = machine.state
    for table, entities in (
        (LIVE_JOBS, state.jobs),
        (SESSIONS, state.sessions),
        (NODES, {node_id.encode(): node for node_id, node in state.nodes.items()}),
        (SCHEDULES, {name.encode(): schedule for name, schedule in state.schedules.items()}),
        (QUEUES, {name.encode(): queue for name, queue in state.limited.items()}),
        (KEY_WINDOWS, state.key_windows),
        (UNIQUE_WINDOWS, state.unique_windows),
    ):
        stored = dict(tables(table))
        _must(stored.keys() == entities.keys(), f"table {table} holds other keys than the state")
        for key, entity in entities.items():
            _must(stored[key] == codec.encode_record(entity), f"table {table}: {key.hex()} is outdated")
    _check_audit(state, dict(tables(AUDIT)))
    level = dict(tables(SINGLES)).get(LEVEL_KEY)
    _must((level or level_record(state)) == level_record(state), "the stored machine level is outdated")
    _must((level is None) == (state.level == FIRST_LEVEL), "a raised machine level is not stored")
    _check_finished(state, dict(tables(FINISHED)), dict(tables(FINISHED_BY_TIME)))


def _check_audit(state: State, records: dict[bytes, bytes]) -> None:
    """The records kept are those that the trail says."""
    trail = state.audit
    numbers = sorted(int.from_bytes(key, "big") for key in records)
    _must(
        numbers == list(range(trail.first, trail.next)), f"{len(numbers)} audit records, the trail is {trail}"
    )
    oldest_ms = codec.decode_audit(records[audit_key(trail.first)]).at_ms if numbers else -1
    _must(trail.oldest_ms == oldest_ms, f"the oldest audit record is of {oldest_ms}, the trail is {trail}")


def _check_finished(state: State, jobs: dict[bytes, bytes], by_time: dict[bytes, bytes]) -> None:
    """Jobs that have ended and their index belong to each other, and are counted."""
    _must(len(jobs) == len(by_time), f"{len(jobs)} jobs have ended, {len(by_time)} are indexed")
    _must(not jobs.keys() & state.jobs.keys(), "a live job is among the finished ones")
    for place in (0, *sorted(TERMINAL)):
        records = [record_of(row) for row in by_time.items() if row[0][0] == place]
        name = JobState(place).word if place else "gone"
        counted = state.counts[place]
        _must(len(records) == counted, f"{len(records)} jobs are {name}, counted {counted}")
        since_ms = state.oldest[place]
        if records:
            earliest_ms = min(record.at_ms for record in records)
            _must(0 <= since_ms <= earliest_ms, f"jobs are {name} since {earliest_ms}, noted {since_ms}")
        for record in records:
            value = jobs.get(record.job_id)
            _must(value is not None, f"job {record.job_id.hex()} is indexed and gone")
            if value:
                job = codec.decode_job(value)
                known = (job.finished_ms, job.state, job.spec.job_id, job.attempt)
                _must(known == record, f"job {record.job_id.hex()} is indexed as {record}")
            else:
                _must(place == 0, f"job {record.job_id.hex()} is {name} and its record is empty")


def _must(holds: bool, what: str, *parts: object) -> None:
    """`parts` fill the gaps in `what` only when it is wrong: most of a check would go into words else."""
    if not holds:
        raise Broken(what.format(*map(_shown, parts)) if parts else what)


def _shown(part: object) -> object:
    if isinstance(part, JobState):
        return part.word
    return part.hex() if isinstance(part, bytes) else part


def _check_job(state: State, job_id: bytes, job: Job) -> None:
    _must(job.spec.job_id == job_id, "job {} is filed under another id", job_id)
    _must(job.state not in TERMINAL, "job {} is {} but among the live ones", job_id, job.state)
    kind = None if job.timer is None else job.timer.kind
    aside = state.set_aside > 0
    why, _ = stop_of(job)
    if job.state is JobState.SCHEDULED:
        waits = kind in (TimerKind.READY_AT_ELAPSED, TimerKind.READY_AT_WALL)
        _must(waits or aside, "job {} is scheduled and waits for nothing", job_id)
    elif job.state is JobState.PENDING:
        limited = job.retry_until_ms > 0 and job.failures > 0
        waits = kind == TimerKind.RETRY_LIMIT if limited else kind is None
        if job.spec.expires_ms and not job.token:
            waits = kind in (None, TimerKind.EXPIRY)  # made ready by hand it does not expire
        _must(waits or aside, "job {} is pending and waits for {}", job_id, kind)
    elif why:
        _must(why in (CANCELLED_WHY, TIMED_OUT_WHY), "job {} was told to stop for {!r}", job_id, why)
        _must(kind == TimerKind.FORCED_END or aside, "job {}: its stop is not enforced", job_id)
    elif job.spec.timeout_ms:
        _must(kind == TimerKind.TIMEOUT or aside, "job {} has a time-out but no timer", job_id)
    else:
        _must(kind is None, "job {} runs without a time-out and has a timer", job_id)
    if job.state in ASSIGNED:
        session = state.sessions.get(job.session_id)
        _must(session is not None, "job {} is assigned to a session that is gone", job_id)
        if session is not None:
            _must(session.slots.get(job.token) == job_id, "job {}: its slot is not taken", job_id)
            _must(session.node_id in ("", job.owner), "job {} is owned by {!r}", job_id, job.owner)
    else:
        _must(not job.session_id and not why, "job {} is {} and still held", job_id, job.state)
    _must(0 <= job.losses < limits.LOSSES_MAX, "job {} has {} losses", job_id, job.losses)
    _must(0 <= job.failures <= job.spec.retry.max_retries, "job {} has {} failures", job_id, job.failures)
    _must(not job.args_stored or not job.spec.args, "job {} holds arguments that are stored", job_id)


def _check_slots(state: State) -> None:
    seen: set[int] = set()
    running: Counter[bytes] = Counter()
    for session in state.sessions.values():
        _must(len(session.slots) <= session.capacity, "session {} is overfull", session.session_id)
        for token, job_id in session.slots.items():
            _must(token not in seen, "token {} was given twice", token)
            seen.add(token)
            job = state.jobs.get(job_id)
            if job is not None and job.token == token and job.state in ASSIGNED:
                running[job_id] += 1
    _must(all(count == 1 for count in running.values()), "a job has two valid tokens")
    assigned = sum(1 for job in state.jobs.values() if job.state in ASSIGNED)
    _must(assigned == len(running), f"{assigned} jobs are assigned, {len(running)} slots run them")


def _check_sessions(state: State) -> None:
    for session_id, session in state.sessions.items():
        attached = session_id in state.node_sessions.get(session.node_id, {})
        _must(session.session_id == session_id, "session {} is filed under another id", session_id)
        _must(attached == (session.node_id != ""), "session {} is not indexed at its node", session_id)
        member = not session.node_id or session.node_id in state.nodes
        _must(member, "session {} is attached to {}, no member", session_id, session.node_id)
        deadline = session.timer is not None and session.timer.kind == TimerKind.SESSION_DEADLINE
        agree = deadline == (not session.node_id) or state.set_aside > 0
        _must(agree, "session {}: deadline and node disagree", session_id)
        pool = state.board.pools.get((session.queues, session.labels))
        pooled = pool is not None and pool.members.get(session_id) is session
        _must(pooled, "session {} is in no pool", session_id)
        if session.handoff is not None:
            elsewhere = session.node_id not in ("", session.handoff.node_id)
            moves = elsewhere and session.handoff.tries > 0
            _must(moves, "session {} moves from where it is not", session_id)
    indexed = sum(len(found) for found in state.node_sessions.values())
    attached_count = sum(1 for session in state.sessions.values() if session.node_id)
    _must(indexed == attached_count, f"{indexed} sessions indexed at nodes, {attached_count} attached")


def _check_drains(state: State) -> None:
    """What a node handed over is no more than it had, and its sessions get nothing."""
    draining = {node_id for node_id, node in state.nodes.items() if node.drain is not None}
    _must(state.board.closed_nodes == draining, "draining nodes and those that are closed differ")
    for node_id, node in state.nodes.items():
        drain = node.drain
        if drain is not None:
            gone = drain.acknowledged + drain.orphaned
            left = len(state.node_sessions.get(node_id, ()))
            _must(gone + left <= drain.sessions, f"node {node_id} hands over more sessions than it had")
            _must(drain.asked <= drain.sessions, f"node {node_id} asks more workers than it had")


def _check_counts(state: State) -> None:
    queues: dict[str, list[int]] = {}
    for job in state.jobs.values():
        queue = queues.setdefault(job.spec.queue, [0] * STATES)
        queue[job.state] += 1
        queue[0] += 1
    _must(queues == state.queues, "queues hold {}, the state says {}", queues, state.queues)
    for live in LIVE_STATES:
        found = sum(queue[live] for queue in queues.values())
        _must(state.counts[live] == found, "{} jobs are {}, counted {}", found, live, state.counts[live])
    for final in sorted(TERMINAL):
        _must(0 <= state.counts[final] <= state.totals[final], "count of {} is impossible", final)


def _check_counters(state: State) -> None:
    used = [job.seq for job in state.jobs.values()]
    used += [session.idle_seq for session in state.sessions.values()]
    used += [
        job.timer.seq
        for job in state.jobs.values()
        if job.timer is not None and not (place_is_timers(job.timer.kind) and job.timer.seq == job.seq)
    ]
    used += [session.timer.seq for session in state.sessions.values() if session.timer is not None]
    for rest in (state.limited, state.key_windows, state.unique_windows, _sweeps(state)):
        used += [entity.timer.seq for entity in rest.values() if entity.timer is not None]
    used += [schedule.due_seq for schedule in state.schedules.values() if schedule.due_seq]
    used += [seq for seq, _ in state.requests.values()]
    _must(len(used) == len(set(used)), "two things share one place in line")
    _must(not used or 0 < min(used) <= max(used) <= state.counter, "a place in line beyond the counter")


def _sweeps(state: State) -> dict[bytes, KeySweep]:
    found = ((name.encode(), queue.sweep) for name, queue in state.limited.items())
    return {name: sweep for name, sweep in found if sweep is not None}


def _check_timers(state: State) -> None:
    due: dict[bool, set[Item]] = {True: set(), False: set()}  # by: on the wall clock
    for job_id, job in state.jobs.items():
        if job.timer is not None:
            timer = job.timer
            on_wall = heap_of(state, timer.kind) is state.wall_timers
            due[on_wall].add((timer.due_ms, timer.seq, timer.kind, job_id))
    for session_id, session in state.sessions.items():
        if session.timer is not None:
            due[False].add((session.timer.due_ms, session.timer.seq, session.timer.kind, session_id))
    limited = {name.encode(): queue for name, queue in state.limited.items()}
    for rest in (limited, state.key_windows, state.unique_windows, _sweeps(state)):
        for key, entity in rest.items():
            if entity.timer is not None:
                due[False].add((entity.timer.due_ms, entity.timer.seq, entity.timer.kind, key))
    for on_wall, heap in ((True, state.wall_timers), (False, state.elapsed_timers)):
        _must(due[on_wall] <= set(heap), "a timer is in no heap")
        _must(heap.valid == len(due[on_wall]), f"{len(due[on_wall])} timers are set, counted {heap.valid}")


def _check_board(state: State) -> None:
    board = state.board
    _must(not board.woken and not board.freed and not board.opened, "something was not dispatched")
    ready: Counter[LaneKey] = Counter()
    lined = {key: _lined(lane) for key, lane in board.lanes.items()}
    for job in state.jobs.values():
        if job.state is JobState.PENDING:
            key = (job.spec.queue, job.spec.labels)
            ready[key] += 1
            item = (-job.spec.priority, job.seq, job.spec.job_id)
            _must(item in lined.get(key, ()), "job {} is not in its lane", job.spec.job_id)
    for key, lane in board.lanes.items():
        for fault in faults_in_lines(state, lane):
            raise Broken(fault)
        _must(lane.count == ready[key], "lane {} counts {} jobs, {} are ready", key, lane.count, ready[key])
        _must(board.lanes_of[key[0]][key] is lane, "lane {} is not indexed by its queue", key)
        for pool in board.pools.values():
            _check_match(state, lane, pool)
        numbers = {pool.number for pool in lane.pools.values()}
        _must(lane.offered.keys() <= numbers, "lane {} holds offers of pools that are gone", key)
    _must(sum(map(len, board.lanes_of.values())) == len(board.lanes), "the index of lanes is too large")
    for pool in board.pools.values():
        _must(bool(pool.members), "pool {} is empty", pool.key)


def _lined(lane: Lane) -> set[ReadyItem]:
    plain = list(lane.rows)
    _must(lane.rows.length == len(plain), "lane {} is miscounted", lane.key)
    _must(sorted(plain) == plain, "lane {} is out of order", lane.key)
    return set(plain).union(*lane.keyed.values())


def _check_match(state: State, lane: Lane, pool: Pool) -> None:
    serves = lane.key[0] in pool.key[0] and all(label in pool.key[1] for label in lane.key[1])
    matched = lane.pools.get(pool.key) is pool and pool.lanes.get(lane.key) is lane
    names = lane.key, pool.key
    _must(serves == matched, "lane {} and pool {}: serves {}, matched {}", *names, serves, matched)
    if not serves:
        return
    free = [
        (load_of(s), s.idle_seq, s.session_id)
        for s in pool.members.values()
        if pool.is_open(s) and len(s.slots) < s.capacity
    ]
    if not free:
        return
    if lane.count:
        _must(held_back(state, lane), "lane {} waits although pool {} has a free slot", *names)
    best = min(free)
    _must(set(free) <= set(pool.seats), "pool {} has lost a seat", pool.key)
    offer = lane.offered.get(pool.number)
    _must(offer is not None and offer[:2] <= best[:2], "lane {} does not see pool {}", *names)
    _must(any(item is offer for item in lane.offers), "lane {} lost the offer of {}", *names)


def _check_bounds(state: State) -> None:
    _must(len(state.jobs) <= limits.LIVE_JOBS, "too many live jobs")
    for name, items in (
        ("jobs", state.jobs),
        ("rates of keys", state.key_windows),
        ("unique keys", state.unique_windows),
    ):
        _must(len(items) == len(list(items)), f"{name} are miscounted")
    _must(len(state.sessions) <= limits.SESSIONS, "too many sessions")
    _must(len(state.nodes) <= limits.NODES, "too many nodes")
    _must(len(state.requests) <= limits.REQUESTS_KEPT, "too many remembered requests")
    empty = sum(1 for lane in state.board.lanes.values() if not lane.count)
    _must(empty <= limits.EMPTY_LANES, f"{empty} empty lanes")
    for heap in (state.elapsed_timers, state.wall_timers):
        _must(len(heap) <= 3 * heap.valid + 200, "a timer heap is full of stale items")
