"""The index behind dispatching: which ready jobs and which free slots fit each other.

Ready jobs stand in *lanes*, one per (queue, labels); those with a key, inside their lane, in a *line* per
key.  Sessions that serve the same (queues, labels) form a *pool*.  A pool and a lane are matched once, when
the younger of them is made.  A queue that is paused or limited has a *gate* (gates.py).  Everything here is
derived from jobs, sessions and queues: it can be rebuilt, holds nothing that is stored, and every choice is
made by stored counters (job.seq, session.idle_seq), so a rebuilt board chooses as the old one would have.

Lines and heaps use lazy deletion.  Three promises keep that right:
- a pool's heap holds, for each session that may take a job, an item with its present key;
- a lane's `offers` hold, for each pool of it with a free slot, one valid item (the one in `offered`) whose
  key is not greater than the key of the pool's best session.  Assignments only raise that key, so the item
  is corrected when it comes to the top; `refresh` offers anew when the key fell;
- a lane's `open` holds, for each of its lines that is not parked, one valid entry (`Line.entry`) whose job is
  not worse than the line's best.  A line is parked only while the gate of its key is closed.
"""

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import Job
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine.gates import Gate
from orchestrix_raft.machine.heap import LazyHeap
from orchestrix_raft.machine.rows import Line, LineEntry, ReadyItem, Rows, is_current

_SLACK: Final = 64  # stale items a heap may hold besides as many as it has live ones

LaneKey = tuple[str, tuple[str, ...]]  # queue, labels
PoolKey = tuple[tuple[str, ...], tuple[str, ...]]  # queues, labels
SeatItem = tuple[int, int, bytes]  # load, session.idle_seq, session id: likewise


def load_of(session: Session) -> int:
    """How full a session is: used slots over capacity, in 2^-20."""
    return (len(session.slots) << 20) // session.capacity


class Pool:
    """Sessions with the same queues and labels."""

    __slots__ = ("closed_nodes", "key", "lanes", "members", "number", "seats")

    def __init__(self, key: PoolKey, number: int, closed_nodes: set[str]) -> None:
        self.key = key
        self.closed_nodes = closed_nodes  # the board's own
        self.number = number  # only keeps heap items comparable; never decides
        self.members: dict[bytes, Session] = {}
        self.lanes: dict[LaneKey, Lane] = {}
        self.seats: list[SeatItem] = []

    def is_open(self, session: Session) -> bool:
        """Whether a session may take jobs at all: attached, not draining, and its node is not either."""
        node_id = session.node_id
        return node_id != "" and not session.draining and node_id not in self.closed_nodes

    def first(self) -> SeatItem | None:
        """The session to take the next job: lowest load, then longest idle.  None: no free slot."""
        seats = self.seats
        members = self.members
        while seats:
            seat = seats[0]
            session = members.get(seat[2])
            if session is not None and session.idle_seq == seat[1] and self.is_open(session):
                used = len(session.slots)
                if used < session.capacity and (used << 20) // session.capacity == seat[0]:
                    return seat
            heappop(seats)
        return None

    def seat(self, session: Session) -> None:
        """Note the present key of a session that may take a job."""
        if len(self.seats) > 2 * len(self.members) + _SLACK:
            self.seats = [
                (load_of(member), member.idle_seq, member.session_id)
                for member in self.members.values()
                if self.is_open(member) and len(member.slots) < member.capacity
            ]
            heapify(self.seats)
        heappush(self.seats, (load_of(session), session.idle_seq, session.session_id))

    def reseat(self, session: Session) -> None:
        """The session at the head has just taken a job."""
        used = len(session.slots)
        if used < session.capacity:
            seat = ((used << 20) // session.capacity, session.idle_seq, session.session_id)
            heapreplace(self.seats, seat)
        else:
            heappop(self.seats)


OfferItem = tuple[int, int, int, Pool]  # load, idle_seq, pool number, pool


class Lane:
    """Ready jobs of one queue that ask for the same labels."""

    __slots__ = (
        "_chosen",
        "count",
        "gate",
        "key",
        "keyed",
        "offered",
        "offers",
        "open",
        "pools",
        "rows",
    )

    def __init__(self, key: LaneKey) -> None:
        self.key = key
        self.rows = Rows()  # of the jobs without a key
        self.count = 0  # jobs in it that are still ready, those with a key included
        self.keyed: dict[str, Line] = {}  # none is empty
        self.open = LazyHeap[None, LineEntry](is_current)  # over those of `keyed` that are not parked
        self._chosen: Line | None = None  # the line of the job that `first` named last; None: none of `keyed`
        self.gate: Gate | None = None
        self.pools: dict[PoolKey, Pool] = {}
        self.offers: list[OfferItem] = []
        self.offered: dict[int, OfferItem] = {}  # pool number -> its valid item

    def first(self, jobs: Mapping[bytes, Job]) -> ReadyItem | None:
        """The job to run next: highest priority, then ready longest.  None: the lane is empty."""
        item = self.rows.first()
        self._chosen = None
        return self._or_keyed(item, jobs) if self.keyed else item

    def _or_keyed(self, plain: ReadyItem | None, jobs: Mapping[bytes, Job]) -> ReadyItem | None:
        """The better of the best job without a key and the best one with a key that its gate admits."""
        gate = self.gate
        while (entry := self.open.first(None)) is not None:
            line = entry[3]
            head = line.first(jobs)
            if head is None or (gate is not None and not gate.admits(line.key)):
                self._enter(line, None)
                if head is not None and gate is not None:
                    gate.park(self, line)
            elif head[1] != entry[1]:
                self._enter(line, head)
            elif plain is None or head < plain:
                self._chosen = line
                return head
            else:
                return plain
        return plain

    def put(self, line: Line) -> None:
        """A line may be taken from; its head may be a job that is no longer ready."""
        self._enter(line, line.head())

    def _enter(self, line: Line, item: ReadyItem | None) -> None:
        """Let a line stand where this job of it would; None: nowhere."""
        known = line.entry
        line.entry = None if item is None else (*item, line)
        if line.entry is not None:
            self.open.push(line.entry)
        if known is not None:
            self.open.lost(None)

    def join(self, job: Job) -> None:
        """A job became ready: later than all that are in line, so seq ascends by itself."""
        spec = job.spec
        self.count += 1
        if spec.key:
            self._join_keyed(job)
        else:
            self.rows.join(-spec.priority, job.seq, spec.job_id)

    def _join_keyed(self, job: Job) -> None:
        key = job.spec.key
        line = self.keyed.get(key)
        if line is None:
            line = self.keyed[key] = Line(key)
        item = (-job.spec.priority, job.seq, job.spec.job_id)
        line.join(item)
        if not line.parked and (line.entry is None or item[0] < line.entry[0]):
            self.put(line)

    def take(self) -> None:
        """Remove the job at the head, which `first` has just named and which leaves next."""
        line = self._chosen
        if line is None:
            return  # a row lets go of it when it leaves
        self._chosen = None
        line.take()
        self.put(line)

    def leave(self, job: Job, jobs: Mapping[bytes, Job]) -> None:
        """One of its jobs is no longer ready."""
        spec = job.spec
        self.count -= 1
        if spec.key:
            keyed = self.keyed[spec.key]
            keyed.leave(jobs)
            if not keyed.count:
                self._drop(keyed)
        else:
            self.rows.leave(-spec.priority, job.seq)

    def _drop(self, line: Line) -> None:
        del self.keyed[line.key]
        self._enter(line, None)
        if not self.keyed:
            self.open = LazyHeap(is_current)  # what is left is little, and stale
        if line.parked and self.gate is not None:
            self.gate.unpark(self, line)

    def offer(self, seat: SeatItem, pool: Pool) -> None:
        """A pool of this lane has a free slot, the best one with this key."""
        known = self.offered.get(pool.number)
        if known is not None and (known[0] < seat[0] or (known[0] == seat[0] and known[1] <= seat[1])):
            return  # seen already, at this key or as an even better one
        item = self.offered[pool.number] = (seat[0], seat[1], pool.number, pool)
        if len(self.offers) > 2 * len(self.offered) + _SLACK:
            self.offers = list(self.offered.values())
            heapify(self.offers)
        else:
            heappush(self.offers, item)

    def best(self) -> tuple[Pool, bytes] | None:
        """The pool and session to take this lane's next job.  None: no slot is free."""
        offers = self.offers
        offered = self.offered
        while offers:
            item = offers[0]
            load, idle_seq, number, pool = item
            if offered.get(number) is not item:
                heappop(offers)  # replaced by a better one, or the pool is gone
                continue
            seat = pool.first()
            if seat is None:
                heappop(offers)
                del offered[number]
            elif seat[1] == idle_seq and seat[0] == load:
                return pool, seat[2]
            else:
                item = offered[number] = (seat[0], seat[1], number, pool)
                heapreplace(offers, item)
                if offers[0] is item:
                    return pool, seat[2]
        return None


Candidate = tuple[int, int, bytes, Lane]
"""A lane and the job at its head.  job.seq is unique, so lanes are never compared."""


class Board:
    """All lanes and pools, and what changed since the last dispatch."""

    __slots__ = (
        "_made",
        "closed_nodes",
        "freed",
        "gates",
        "lanes",
        "lanes_of",
        "opened",
        "pools",
        "pools_of",
        "woken",
    )

    def __init__(self) -> None:
        self.lanes: dict[LaneKey, Lane] = {}
        self.lanes_of: dict[str, dict[LaneKey, Lane]] = {}
        self.pools: dict[PoolKey, Pool] = {}
        self.pools_of: dict[str, dict[PoolKey, Pool]] = {}
        self.woken: dict[LaneKey, Lane] = {}  # lanes that got a job
        self.freed: dict[bytes, Session] = {}  # sessions that can take more than before
        self.gates: dict[str, Gate] = {}  # by queue
        self.opened: dict[str, Gate] = {}  # those that may let more through than before
        self.closed_nodes: set[str] = set()  # draining: nothing is assigned to their sessions
        self._made = 0

    # ---- jobs

    def join(self, job: Job) -> None:
        """A job became ready; its seq is larger than that of any job before."""
        spec = job.spec
        key = (spec.queue, spec.labels)
        lane = self.lanes.get(key)
        if lane is None:
            lane = self._make_lane(key)
        lane.join(job)
        self.woken[key] = lane

    def leave(self, job: Job, jobs: Mapping[bytes, Job]) -> None:
        """A job is no longer ready; its state has changed already."""
        spec = job.spec
        lane = self.lanes[(spec.queue, spec.labels)]
        lane.leave(job, jobs)
        if not lane.count and len(self.lanes) > limits.EMPTY_LANES:
            self._drop_lane(lane)

    def _make_lane(self, key: LaneKey) -> Lane:
        lane = self.lanes[key] = Lane(key)
        lane.gate = self.gates.get(key[0])
        self.lanes_of.setdefault(key[0], {})[key] = lane
        for pool in self.pools_of.get(key[0], {}).values():
            _match(lane, pool)
        return lane

    def _drop_lane(self, lane: Lane) -> None:
        del self.lanes[lane.key]
        self.woken.pop(lane.key, None)
        if lane.gate is not None:
            lane.gate.forget(lane)
        siblings = self.lanes_of[lane.key[0]]
        del siblings[lane.key]
        if not siblings:
            del self.lanes_of[lane.key[0]]
        for pool in lane.pools.values():
            del pool.lanes[lane.key]

    # ---- sessions

    def seat(self, session: Session) -> None:
        """A session is here for the first time."""
        key = (session.queues, session.labels)
        pool = self.pools.get(key)
        if pool is None:
            pool = self._make_pool(key)
        pool.members[session.session_id] = session
        self.freed[session.session_id] = session

    def unseat(self, session: Session) -> None:
        """A session has ended."""
        self.freed.pop(session.session_id, None)
        pool = self.pools[(session.queues, session.labels)]
        del pool.members[session.session_id]
        if not pool.members:
            self._drop_pool(pool)

    def _make_pool(self, key: PoolKey) -> Pool:
        self._made += 1
        pool = self.pools[key] = Pool(key, self._made, self.closed_nodes)
        for queue in key[0]:
            self.pools_of.setdefault(queue, {})[key] = pool
            for lane in self.lanes_of.get(queue, {}).values():
                _match(lane, pool)
        return pool

    def _drop_pool(self, pool: Pool) -> None:
        del self.pools[pool.key]
        for queue in pool.key[0]:
            siblings = self.pools_of[queue]
            del siblings[pool.key]
            if not siblings:
                del self.pools_of[queue]
        for lane in pool.lanes.values():
            del lane.pools[pool.key]
            lane.offered.pop(pool.number, None)

    # ---- gates

    def add_gate(self, gate: Gate) -> None:
        """A queue is paused or limited from now on."""
        name = gate.queue.name
        self.gates[name] = gate
        for lane in self.lanes_of.get(name, {}).values():
            lane.gate = gate

    def drop_gate(self, gate: Gate) -> None:
        """A queue is neither any more: all lanes that waited are looked at.  No line is parked by
        then: it went back when the limits for its key did not hold any more."""
        name = gate.queue.name
        for lane in gate.waiting:
            self.woken[lane.key] = lane
        del self.gates[name]
        self.opened.pop(name, None)
        for lane in self.lanes_of.get(name, {}).values():
            lane.gate = None

    def open_keys(self, gate: Gate, keys: Iterable[str]) -> None:
        """These keys of a queue may be let through."""
        for key in keys:
            for lane in gate.release(key):
                self.woken[lane.key] = lane

    # ---- both

    def refresh(self) -> None:
        """Enter what changed: offer the slots that became free to the lanes they serve."""
        touched: dict[PoolKey, Pool] = {}
        for session in self.freed.values():
            key = (session.queues, session.labels)
            pool = self.pools[key]
            if pool.is_open(session) and len(session.slots) < session.capacity:
                touched[key] = pool
                pool.seat(session)
        self.freed.clear()
        for pool in touched.values():
            seat = pool.first()
            if seat is not None:
                for lane in pool.lanes.values():
                    lane.offer(seat, pool)
                    if lane.count:
                        self.woken[lane.key] = lane

    def candidates(self, jobs: Mapping[bytes, Job]) -> list[Candidate]:
        """A heap of the lanes in which an assignment may be possible now, by the job at their head."""
        found: list[Candidate] = []
        for lane in self.woken.values():
            item = lane.first(jobs)
            if lane.gate is not None:
                lane.gate.forget(lane)
            if item is not None:
                found.append((item[0], item[1], item[2], lane))
        self.woken.clear()
        for gate in self.opened.values():
            candidate = gate.next(jobs) if gate.is_open() else None
            if candidate is not None:
                found.append(candidate)
        self.opened.clear()
        heapify(found)
        return found


def _match(lane: Lane, pool: Pool) -> None:
    if any(label not in pool.key[1] for label in lane.key[1]):
        return
    lane.pools[pool.key] = pool
    pool.lanes[lane.key] = lane
    seat = pool.first()
    if seat is not None:
        lane.offer(seat, pool)
