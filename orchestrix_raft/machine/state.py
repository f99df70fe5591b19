"""The replicated state: entities by id, counters, and the indexes derived from them.

Only `evolve` functions (and the loading of a checkpoint) write here.  The node around the machine reads
`jobs`, `sessions`, `nodes`, `counts`, `queues`, clocks and digest, and changes nothing.
"""

from collections import OrderedDict
from collections.abc import MutableMapping
from typing import Final

import msgspec

from orchestrix_raft.domain.audit import AuditTrail
from orchestrix_raft.domain.job import LIFE_CYCLE, Job, JobState
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.domain.node import Node
from orchestrix_raft.domain.queue import KeyWindow, Queue, UniqueWindow
from orchestrix_raft.domain.schedule import Schedule
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine import digest
from orchestrix_raft.machine.board import Board
from orchestrix_raft.machine.book import Book
from orchestrix_raft.machine.parts import FEW, in_parts
from orchestrix_raft.machine.records import Records
from orchestrix_raft.machine.rules import RULES, Rules
from orchestrix_raft.machine.sharing import Sharing
from orchestrix_raft.machine.timers import TimerHeap, is_set

STATES: Final = max(JobState) + 1  # length of a list indexed by JobState
LIVE_STATES: Final = (JobState.SCHEDULED, JobState.PENDING, JobState.DISPATCHED, JobState.RUNNING)
GENERATION_SHIFT: Final = 40  # a fencing token is (generation << 40) + counter

_LEGAL: Final = tuple(
    tuple(new in LIFE_CYCLE.get(JobState(old), ()) for new in range(STATES)) if old else (False,) * STATES
    for old in range(STATES)
)
_LAST_LIVE: Final = JobState.RUNNING  # the states up to it are live, those after it terminal


class IllegalMove(Exception):
    """A job was about to leave its life cycle: a bug, and the node must stop."""


class State:
    """Everything the machine knows in memory.  Same log, same state on every node."""

    __slots__ = (
        "audit",
        "board",
        "book",
        "counter",
        "counts",
        "digest",
        "elapsed_ms",
        "elapsed_timers",
        "generation",
        "index",
        "jobs",
        "key_windows",
        "level",
        "level_version",
        "limited",
        "marked",
        "migration",
        "node_sessions",
        "nodes",
        "oldest",
        "queues",
        "records",
        "requests",
        "rules",
        "schedules",
        "sessions",
        "set_aside",
        "sharing",
        "term",
        "token_counter",
        "totals",
        "touched_jobs",
        "touched_nodes",
        "touched_rest",
        "touched_sessions",
        "unique",
        "unique_windows",
        "wall_ms",
        "wall_timers",
    )

    def __init__(self, records: Records, rules: Rules = RULES) -> None:
        self.rules = rules  # of the software that runs here; no decision may depend on more than they say
        self.index = 0  # of the newest applied entry
        self.term = 0  # of that entry
        self.elapsed_ms = 0
        self.wall_ms = 0
        self.counter = 0  # the one source of every order: job.seq, idle_seq, timer.seq
        self.generation = 0  # raised by restore and recovery, so that older tokens stay old
        self.token_counter = 0
        self.digest = digest.EMPTY
        self.set_aside = 0  # timers whose decide raised
        self.level = FIRST_LEVEL  # by which rules entries are applied; never falls
        self.level_version = ""  # of the software that raised it
        self.migration: bytes | None = None  # where the next step of a migration begins; None: none is due
        self.jobs: MutableMapping[bytes, Job] = {}  # live ones; in parts once they are many, like the windows
        self.sessions: dict[bytes, Session] = {}
        self.nodes: dict[str, Node] = {}
        self.schedules: dict[str, Schedule] = {}
        self.limited: dict[str, Queue] = {}  # those that are paused or limited, by name
        self.key_windows: MutableMapping[bytes, KeyWindow] = {}  # by pair_key(queue, key)
        self.unique_windows: MutableMapping[bytes, UniqueWindow] = {}  # by pair_key(type, unique key)
        self.counts = [0] * STATES  # jobs by JobState, finished ones included; [0]: ids of jobs that are gone
        self.oldest = [-1] * STATES  # by terminal JobState: nothing kept ended earlier (wall ms); -1: nothing
        # is kept.  [0]: no id of a job that is gone is free earlier
        self.totals = [0] * STATES  # ends by terminal JobState since the cluster began; never falls
        self.queues: dict[str, list[int]] = {}  # live jobs by JobState; [0] is their sum, never 0
        self.audit = AuditTrail()
        # ---- derived
        self.unique: dict[tuple[str, str], bytes] = {}  # (type, unique key) -> job that has it
        self.node_sessions: dict[str, dict[bytes, Session]] = {}  # attached ones by node
        self.requests = OrderedDict[bytes, tuple[int, int]]()  # id -> seq, expires_ms; oldest first
        self.elapsed_timers = TimerHeap(is_set)
        self.wall_timers = TimerHeap(is_set)
        self.board = Board()
        self.book = Book()
        self.sharing = Sharing()
        # ---- of this process
        self.marked = 0  # index of the newest entry that asked for a comparison of contents
        # ---- of the running entry
        self.records = records
        self.touched_jobs: dict[bytes, Job | None] = {}  # None: no longer live
        self.touched_sessions: dict[bytes, Session | None] = {}
        self.touched_nodes: dict[str, Node | None] = {}  # None: removed
        self.touched_rest: dict[str, dict[bytes, msgspec.Struct | None]] = {}  # by table: what changes rarely

    def next_due(self) -> tuple[int | None, int | None]:
        """When the earliest timer of each clock is due (elapsed ms, wall ms); None: nothing waits."""
        elapsed = self.elapsed_timers.first(self)
        wall = self.wall_timers.first(self)
        return (None if elapsed is None else elapsed[0], None if wall is None else wall[0])

    def divide(self) -> None:
        """Give what has become many the form in which it grows without a stop."""
        if len(self.jobs) > FEW:
            self.jobs = in_parts(self.jobs)
        if len(self.key_windows) > FEW:
            self.key_windows = in_parts(self.key_windows)
        if len(self.unique_windows) > FEW:
            self.unique_windows = in_parts(self.unique_windows)

    def touch(self, table: str, key: bytes, entity: msgspec.Struct | None) -> None:
        """A record of a table that changes rarely is to be written; None: it is gone."""
        self.touched_rest.setdefault(table, {})[key] = entity

    def sessions_of(self, node_id: str) -> list[Session]:
        """The sessions attached to a node, by session id."""
        found = self.node_sessions.get(node_id)
        return [found[key] for key in sorted(found)] if found else []

    def owned_jobs(self, node_id: str) -> int:
        """Slots taken at the sessions attached to a node: the jobs whose owner it is."""
        found = self.node_sessions.get(node_id)
        return sum(len(session.slots) for session in found.values()) if found else 0


def count_new(state: State, job: Job) -> None:
    """A job came into being."""
    state.counts[job.state] += 1
    _count_live(state, job.spec.queue, job.state)


def move(state: State, job: Job, new: JobState) -> None:
    """Change where a job stands.  The one place where that happens: IllegalMove outside LIFE_CYCLE."""
    old = job.state
    if not _LEGAL[old][new]:
        raise IllegalMove(f"{old.name} -> {new.name}")
    job.state = new
    counts = state.counts
    counts[old] -= 1
    counts[new] += 1
    name = job.spec.queue
    if old > _LAST_LIVE:
        _count_live(state, name, new)
        return
    queue = state.queues[name]
    queue[old] -= 1
    if new <= _LAST_LIVE:
        queue[new] += 1
    else:
        state.totals[new] += 1
        queue[0] -= 1
        if not queue[0]:
            del state.queues[name]


def _count_live(state: State, name: str, new: JobState) -> None:
    queue = state.queues.get(name)
    if queue is None:
        queue = state.queues[name] = [0] * STATES
    queue[new] += 1
    queue[0] += 1
