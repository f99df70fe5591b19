"""What people and programs ask of a node's state: plain functions over the core, for one moment.

Listings walk in bounded slices and carry a cursor, so that a page never stops the loop for long.
"""

import heapq
from collections.abc import Iterator
from itertools import chain

from orchestrix_raft.consensus.port import Role
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.port import ClusterView, JobView, NodeView, Page, QueueDetails, QueueView
from orchestrix_raft.coordinator.proposer import unavailable
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.audit import AuditRecord
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import TERMINAL, Attempt, Job, JobState, TimerKind
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.queue import QueueOptions
from orchestrix_raft.domain.words import counted
from orchestrix_raft.duties.upgrade import waits_for
from orchestrix_raft.machine.codec import decode_attempt, decode_audit, decode_job
from orchestrix_raft.machine.history import ATTEMPTS, AUDIT, FINISHED, FINISHED_BY_TIME
from orchestrix_raft.machine.parts import portions
from orchestrix_raft.machine.records import attempt_key, audit_key
from orchestrix_raft.machine.state import LIVE_STATES

SLICE = 2_000  # rows looked at before the loop may do something else
_LIVE, _FINISHED = b"L", b"F"


def view(core: Core, job: Job) -> JobView:
    """A job with what is computed for display."""
    scheduled = 0
    if job.state is JobState.SCHEDULED and job.timer is not None:
        if job.timer.kind == TimerKind.READY_AT_WALL:
            scheduled = job.timer.due_ms
        else:
            state = core.state
            scheduled = state.wall_ms + max(0, job.timer.due_ms - state.elapsed_ms)
    return JobView(job, core.replica.args_of(job), scheduled)


def attempts(core: Core, job_id: bytes) -> list[Attempt]:
    """Finished attempts that are kept, oldest first."""
    job = core.replica.job(job_id)
    newest = 0 if job is None else job.attempt
    numbers = range(max(1, newest - limits.ATTEMPTS_KEPT + 1), newest + 1)
    rows = [core.replica.history.get(ATTEMPTS, attempt_key(job_id, number)) for number in numbers]
    return [decode_attempt(row) for row in rows if row]  # none of one that runs


def audit(core: Core, after: int, limit: int, latest: bool = False) -> list[tuple[int, AuditRecord]]:
    """Records of the audit trail behind number `after`, with their numbers: the first or the latest."""
    trail = core.state.audit
    first = max(after + 1, trail.first, trail.next - limit if latest else 0)
    rows = core.replica.history.scan(AUDIT, audit_key(first), limit)
    return [(int.from_bytes(key, "big"), decode_audit(value)) for key, value in rows]


class Listing:
    """One page in the making: call `slice` until it says that it is done.

    Unfinished jobs come first, newest creation first; then finished ones, latest end first.  A cursor
    names the last job seen by its place in that order, so it works on every node.
    """

    def __init__(
        self, core: Core, states: frozenset[JobState], queue: str, job_type: str, limit: int, cursor: bytes
    ) -> None:
        self._core = core
        self._states = states or frozenset(JobState)
        self._queue = queue
        self._type = job_type
        self._limit = limit
        self._cursor = cursor
        self._jobs: list[JobView] = []
        self._next = b""
        self._more = False  # the page may be full before the walk has come to its end
        self._work = self._walk()

    @staticmethod
    def check(cursor: bytes) -> Rejected | None:
        """Is this a cursor of ours?"""
        if cursor and not (cursor[:1] in (_LIVE, _FINISHED) and len(cursor) == 25):
            return Rejected(Code.INVALID_ARGUMENT, "CURSOR_INVALID", "not a cursor of an earlier listing")
        return None

    def slice(self) -> bool:
        """Look at up to SLICE rows; True when the page is complete."""
        return next(self._work, None) is None

    def page(self) -> Page:
        """The result; the cursor is empty when the walk came to its end."""
        return Page(self._jobs, self._next if self._more else b"")

    def _wanted(self, job: Job) -> bool:
        spec = job.spec
        return (
            job.state in self._states
            and (not self._queue or spec.queue == self._queue)
            and (not self._type or spec.type == self._type)
        )

    def _walk(self) -> Iterator[int]:
        """Yields now and then, so that the loop may breathe."""
        if self._states - TERMINAL and self._cursor[:1] != _FINISHED:
            yield from self._walk_live()
        if self._states & TERMINAL and not self._more:
            yield from self._walk_finished()

    def _walk_live(self) -> Iterator[int]:
        below = self._cursor[1:] or b"\xff" * 24
        heap: list[bytes] = []
        job_ids = chain.from_iterable(portions(self._core.state.jobs))
        for seen, job_id in enumerate(job_ids):
            if seen % SLICE == SLICE - 1:
                yield seen
            job = self._core.state.jobs.get(job_id)
            if job is None or not self._wanted(job):
                continue
            place = job.created_ms.to_bytes(8, "big") + job_id
            if place < below:
                if len(heap) < self._limit:
                    heapq.heappush(heap, place)
                else:
                    heapq.heappushpop(heap, place)
        for place in sorted(heap, reverse=True):
            job = self._core.state.jobs.get(place[8:])
            self._next = _LIVE + place
            if job is not None and self._wanted(job):  # else it has moved on since it was seen
                self._jobs.append(view(self._core, job))
        self._more = len(heap) == self._limit

    def _walk_finished(self) -> Iterator[int]:
        below = self._cursor[1:] if self._cursor[:1] == _FINISHED else b"\xff" * 24
        walks = [self._finished_places(state, below) for state in sorted(self._states & TERMINAL)]
        for seen, place in enumerate(heapq.merge(*walks, reverse=True)):
            if seen % (SLICE // 10) == SLICE // 10 - 1:
                yield seen
            data = self._core.replica.history.get(FINISHED, place[8:])
            job = decode_job(data) if data else None
            if job is not None and self._wanted(job):
                self._jobs.append(view(self._core, job))
                self._next = _FINISHED + place
                self._more = len(self._jobs) == self._limit
                if self._more:
                    return

    def _finished_places(self, state: JobState, below: bytes) -> Iterator[bytes]:
        """finished_ms + job id of the jobs that ended in `state`, downwards from below `below`."""
        prefix = bytes([state])
        edge = below
        while True:
            rows = self._core.replica.history.scan(FINISHED_BY_TIME, prefix + edge, 200, reverse=True)
            places = [key[1:] for key, _ in rows if key[:1] == prefix and key[1:] < edge]
            yield from places
            if not places:
                return
            edge = places[-1]


def not_fresh(core: Core, min_index: int, linearizable: bool) -> Rejected:
    """The answer to a reader who waited in vain for the local state to become as fresh as asked."""
    if leader(core) is None:
        return unavailable(leader_known=False)
    if linearizable:
        message = (
            "the leader did not confirm in time that this read would be fresh; try again or another node"
        )
    else:
        message = (
            f"this node has applied the log up to index {core.consensus.applied_index} and the read asks for"
            f" index {min_index}, which did not come in time; try again or another node"
        )
    return Rejected(Code.UNAVAILABLE, "NOT_FRESH", message)


def leader(core: Core) -> str | None:
    """The leader, as far as this node is in touch with it."""
    return None if core.stale and not core.leading else core.consensus.leader_id


def _role(core: Core, node_id: str, votes: bool) -> str:
    """What it is in the cluster, whether it answers or not."""
    me = node_id == core.identity.node_id
    if me and core.removed_index:
        return "removed"
    if not votes:
        return "learner"
    if me:
        return core.consensus.role.name.lower()
    return "leader" if node_id == leader(core) else "follower"


def _is_reached(core: Core, node_id: str) -> bool:
    """The leader sees its peers itself; others hear of them from the leader, if there is one to hear from."""
    known_leader = leader(core)
    if node_id in (core.identity.node_id, known_leader) or node_id in core.connected_peers:
        return True
    return known_leader is not None and not core.leading and core.beats.is_alive(node_id, core.now)


def _voters(core: Core) -> frozenset[str]:
    """By the configuration in force.  A removal that is not committed may still be taken back: until then the
    removed node calls itself what it was."""
    voters, settled = core.consensus.voters, core.consensus.settled.configuration
    me = core.identity.node_id
    if me not in core.consensus.members and settled is not None and me in settled.voters:
        return voters if core.removed_index else voters | {me}
    return voters


def _nodes(core: Core) -> list[NodeView]:
    state, consensus, me = core.state, core.consensus, core.identity.node_id
    now, wall = core.now, core.wall_ms
    top = consensus.commit_index
    progress = {p.node_id: p for p in consensus.progress()} if consensus.role is Role.LEADER else {}
    views = []
    headless = leader(core) is None  # then nobody commits changes of health
    voters = _voters(core)
    for node_id in sorted(consensus.members | {me}):
        known = state.nodes.get(node_id)
        votes, reached = node_id in voters, _is_reached(core, node_id)
        heard = core.beats.of(node_id)
        applied = heard.applied_index if heard else 0
        age = now - heard.at if heard else None
        if node_id == me:
            applied, age = consensus.applied_index, 0.0
        elif node_id in progress and node_id in core.connected_peers:
            applied = max(applied, min(progress[node_id].match_index, top))
            age = min(progress[node_id].answered_s, age if age is not None else 1e9)
        views.append(
            NodeView(
                node_id,
                known.address if known else core.addresses.get(node_id, ""),
                _role(core, node_id, votes),
                known.health if known and (reached or not headless) else None,
                applied,
                max(0, top - applied) if applied else 0,
                core.state.owned_jobs(node_id),
                len(state.sessions_of(node_id)),
                0 if age is None else wall - int(age * 1000),
                known.version if known else "",
                known.drain if known else None,
                known.level if known else 0,
                votes,
                reached,
            )
        )
    return views


def _problems(core: Core, nodes: list[NodeView]) -> list[str]:
    problems = []
    if leader(core) is None:
        problems.append(
            "no leader: writes wait until a majority of the nodes can reach each other"
            f" ({len(core.connected_peers) + 1} of {len(core.consensus.members)} nodes reachable from here)"
        )
    for node in nodes:
        if node.health in (Health.SUSPECT, Health.DEAD):
            problems.append(f"node {node.node_id} ({node.address}) is {node.health.word}")
        elif not node.reached:
            problems.append(f"node {node.node_id} ({node.address or 'address unknown'}) does not answer")
        if node.role == "learner":
            problems.append(f"node {node.node_id} is a learner: it votes once it has caught up with the log")
        if node.role == "removed":
            problems.append(f"node {node.node_id} was removed from the cluster: it ends in a moment")
    for node_id, index in sorted(core.replica.digests.divergent.items()):
        problems.append(f"node {node_id} has another state than this one since log index {index}: stop it")
    for node_id, offset_ms in core.leadership.stamper.skewed(core.now):
        problems.append(
            f"the clock of node {node_id or core.identity.node_id} is off by {offset_ms / 1000:.1f} s"
        )
    problems.extend(core.leadership.schedules.problems(core.state))
    problems += core.consensus.problems()
    if core.replica.loading:
        problems.append("this node is loading a snapshot: until then what it shows is old")
    problems += [problem for problem in (core.log_exchange.problem, core.feed.problem) if problem]
    if core.state.set_aside:
        aside = counted(core.state.set_aside, "timer was", "timers were")
        problems.append(f"{aside} set aside because of a bug: see the nodes' logs")
    waiting = core.state.counts[JobState.PENDING]
    if waiting and not core.state.sessions:
        jobs = counted(waiting, "job waits", "jobs wait")
        problems.append(f"{jobs} and no worker is connected")
    return problems


def queues_of(core: Core) -> list[QueueDetails]:
    """Every queue that there is something to say about, by name."""
    state = core.state
    return [queue(core, name) for name in sorted(state.queues.keys() | state.limited.keys())]


def queue(core: Core, name: str) -> QueueDetails:
    """A queue: unknown ones are empty and without limits."""
    state = core.state
    counts = state.queues.get(name)
    limited = state.limited.get(name)
    paused = limited is not None and limited.options.paused
    scheduled, pending, dispatched, running = (counts[live] if counts else 0 for live in LIVE_STATES)
    jobs = QueueView(name, scheduled, pending, dispatched, running, paused)
    gate = state.board.gates.get(name)
    if gate is None:
        return QueueDetails(jobs, QueueOptions(), 0, 0, 0)
    rate, window = gate.queue.options.rate, gate.queue.window
    used = opens = 0
    if rate is not None:
        edge = state.elapsed_ms - rate.window_ms
        passed = zip(window.stamps, window.counts, strict=True)
        used = sum(count for stamp, count in passed if stamp > edge)
        opens = window.opens_ms(rate)
    opens_ms = state.wall_ms + opens - state.elapsed_ms if opens > state.elapsed_ms else 0
    return QueueDetails(jobs, gate.queue.options, gate.running, used, opens_ms)


def status(core: Core, cluster_id: str) -> ClusterView:
    """Everything `status` shows."""
    state, consensus = core.state, core.consensus
    nodes = _nodes(core)
    queues = [details.jobs for details in queues_of(core)]
    return ClusterView(
        leader(core) or "",
        consensus.term,
        consensus.commit_index,
        consensus.applied_index,
        nodes,
        {job_state: state.counts[job_state] for job_state in JobState},
        queues,
        list(state.sessions.values()),
        core.identity.node_id,
        cluster_id,
        state.digest,
        _problems(core, nodes),
        core.stale,
        core.wall_ms,
        state.level,
        waits_for(state, consensus.members),
    )
