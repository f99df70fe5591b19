"""Simulated clients: they enqueue, cancel, retry, read and wait, and remember what they were told.

A call that was not answered well is made again with the same ids, at any node.
"""

from collections.abc import Callable
from typing import Final

from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import TERMINAL, JobSpec, JobState, OnConflict, UniqueRule, UniqueScope
from orchestrix_raft.domain.keeping import JobFilter
from orchestrix_raft.domain.retry import RetryPolicy
from orchestrix_raft.machine.commands import (
    Asked,
    CancelJobs,
    CancelWhere,
    Command,
    Enqueue,
    PurgeJobs,
    PurgeWhere,
    RetryJobs,
    RetryWhere,
    WhereResult,
)
from orchestrix_raft.machine.history import FINISHED
from orchestrix_raft.simulation.histories import Pen
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.story import ASKS, FAULT, in_words
from orchestrix_raft.simulation.world import START_WALL_MS, World

WhereKind = type[CancelWhere] | type[RetryWhere] | type[PurgeWhere]

_RULES: Final = tuple(
    UniqueRule(scope, 2_500 if scope is UniqueScope.WINDOW else 0, on_conflict)
    for scope in UniqueScope
    for on_conflict in OnConflict
)
PATIENCE_S = 9.0  # then a client asks another node


class SimClient:
    """One client process; it never dies, its nodes do."""

    pen: Pen | None = None  # for its history
    takes_refusals = False  # what the state machine refuses is answered; else it is asked again

    def __init__(
        self,
        world: World,
        name: str,
        nodes: list[SimNode],
        told: list[tuple[bytes, int]],
        violation: Callable[[str], None],
        gone: Callable[[bytes], bool],
    ) -> None:
        """`told`: (job id, index) of what clients were told exists, newest last; all clients share it.
        `gone`: whether a job was forgotten, by retention or by a purge."""
        self.world = world
        self.name = name
        # of what it does now; each step brings its own
        self.rng = world.stream(name)
        self.asked: dict[bytes, JobSpec] = {}
        self.acknowledged: dict[bytes, int] = {}  # job id -> index
        self.cancelled: dict[bytes, str] = {}  # job id -> what the cluster said
        self.retried: set[bytes] = set()
        self.refused: set[bytes] = set()  # job ids of calls that were certainly not applied, and given up
        self.calls = 0
        self.reads = 0
        self.waits = 0
        self._nodes = nodes
        self._told = told
        self._violation = violation
        self._gone = gone
        self._open = 0
        self.newest = ""  # what it has asked for, in words
        self.twice = 0.0  # chance that a call reaches two nodes
        self._again: set[bytes] = set()  # job ids used in more than one call

    @property
    def idle(self) -> bool:
        """Every call was answered."""
        return self._open == 0

    # ---- what it does --------------------------------------------------------------------------------

    def enqueue(self, count: int) -> None:
        """Some new jobs in one call; now and then with an id used before."""
        rng = self.rng
        specs = []
        for _ in range(count):
            if self.asked and rng.random() < 0.05:
                specs.append(rng.choice(list(self.asked.values())))
                self._again.add(specs[-1].job_id)
                continue
            spec = self._spec()
            self.asked[spec.job_id] = spec
            specs.append(spec)
        jobs = tuple(specs)
        self._call(Enqueue(jobs), lambda done: self._enqueued(jobs, done))

    def _spec(self) -> JobSpec:
        rng = self.rng
        stamp = START_WALL_MS + int(self.world.now * 1000)
        delayed = rng.random()
        unique = rng.choice(_RULES) if rng.random() < 0.1 else None
        return JobSpec(
            stamp.to_bytes(6, "big") + rng.randbytes(10),
            "work",
            "mail" if rng.random() < 0.3 else "default",
            b'{"n": 1}' if rng.random() < 0.97 else b'{"x": "' + b"y" * 6_000 + b'"}',
            priority=rng.choice((0, 0, 0, 5, -5)),
            delay_ms=rng.randint(1, 8_000) if delayed < 0.1 else 0,
            run_at_ms=stamp + rng.randint(0, 8_000) if 0.1 <= delayed < 0.15 else 0,
            timeout_ms=rng.choice((0, 0, 0, 500, 4_000)),
            retry=RetryPolicy(max_retries=rng.randint(0, 3), delay_ms=rng.randint(0, 2_000)),
            retry_for_ms=rng.choice((0, 0, 1_000, 6_000)),
            unique_key=rng.choice("xyz") if unique is not None else "",
            unique=unique,
            key=rng.choice(("", "", "a", "b")),
            expires_ms=rng.choice((0, 0, 0, 0, 0, 0, 0, 3_000)),
        )

    def _enqueued(self, jobs: tuple[JobSpec, ...], done: Done) -> None:
        rejected = getattr(done.result, "rejected", None)
        if rejected is None:
            self._violation(f"enqueue answered {done.result!r}")
            return
        existing = getattr(done.result, "existing", {})
        for position, spec in enumerate(jobs):
            if existing.get(position, spec.job_id) != spec.job_id:
                continue  # another job has its unique key
            if position not in rejected and spec.job_id not in self.acknowledged:
                self.acknowledged[spec.job_id] = done.index
                self._told.append((spec.job_id, done.index))
        if self.rng.random() < 0.4:
            self.read()  # what was just written, at whatever node

    def cancel(self) -> None:
        """Cancel one of its own jobs."""
        if not self.acknowledged:
            return
        job_id = self.rng.choice(list(self.acknowledged))
        cancel = CancelJobs(self.rng.randbytes(16), (job_id,), "changed my mind")
        command = Asked(self.name, cancel)

        def done(answer: Done) -> None:
            words = getattr(answer.result, "words", None)
            if words is None or (words[0] == "not_found" and not self._gone(job_id)):
                self._violation(f"cancel of an acknowledged job answered {answer.result!r}")
            else:
                self.cancelled.setdefault(job_id, words[0])

        self._call(command, done)

    def retry(self) -> None:
        """Run one of its own jobs again, whatever became of it."""
        if not self.acknowledged:
            return
        job_id = self.rng.choice(list(self.acknowledged))
        self.retried.add(job_id)

        def done(answer: Done) -> None:
            words = getattr(answer.result, "words", None)
            if words is None or (words[0] == "not_found" and not self._gone(job_id)):
                self._violation(f"retry of an acknowledged job answered {answer.result!r}")

        self._call(Asked(self.name, RetryJobs(self.rng.randbytes(16), (job_id,))), done)

    def purge(self) -> None:
        """Forget one of its own jobs, if it has ended."""
        if self.acknowledged:
            job_id = self.rng.choice(list(self.acknowledged))
            self._call(PurgeJobs(self.rng.randbytes(16), (job_id,)), lambda answer: None)

    def steer_where(self) -> None:
        """A command on a filter, with all its steps."""
        rng = self.rng
        queue = rng.choice(("", "mail"))
        kind, states = rng.choice(
            (
                (CancelWhere, (JobState.SCHEDULED,)),
                (RetryWhere, (JobState.SCHEDULED, JobState.DEAD)),
                (PurgeWhere, (JobState.COMPLETED,)),
                (PurgeWhere, (JobState.CANCELLED, JobState.DEAD)),
            )
        )
        self._step_where(kind, JobFilter(states, queue), b"", rng.choice((1, 7, 500)))

    def _step_where(self, kind: WhereKind, where: JobFilter, cursor: bytes, limit: int) -> None:
        request_id = self.rng.randbytes(16)

        def done(answer: Done) -> None:
            result = answer.result
            if not isinstance(result, WhereResult):
                self._violation(f"{kind.__name__} answered {result!r}")
            elif result.cursor:
                self._step_where(kind, where, result.cursor, limit)

        if issubclass(kind, CancelWhere):
            self._call(kind(request_id, where, cursor, limit, "by filter"), done)
        else:
            self._call(kind(request_id, where, cursor, limit), done)

    def read(self) -> None:
        """A read of an acknowledged job must find it: a linearizable one, or one at the index of the
        acknowledgement.  It is answered or given up in time."""
        node = self._node()
        core = None if node is None else node.core
        if node is None or core is None or not self._told:
            return
        job_id, index = self._told[-1] if self.rng.random() < 0.7 else self.rng.choice(self._told)
        asked_at, late = self.world.now, core.limits.read_wait_s + 1.0
        linearizable = self.rng.random() < 0.5
        number = self.pen.reads(job_id, 0 if linearizable else index, linearizable) if self.pen else 0

        def fresh(ok: bool) -> None:
            if node.core is not core:
                return
            if self.world.now - asked_at > late + node.stood_still_since(asked_at):
                self._violation(f"a read at {node.name} took {self.world.now - asked_at:.1f} s")
            if ok:
                self.reads += 1
                if self.pen:
                    seen = core.consensus.applied_index
                    self.pen.saw(number, core.replica.job(job_id), seen, linearizable)
                if core.replica.job(job_id) is None and core.replica.history.get(FINISHED, job_id) is None:
                    self._violation(f"stale read at {node.name}: acknowledged job {job_id.hex()} not found")

        if linearizable:
            node.act(lambda: core.reads.linearizable(core.now, fresh))
        else:
            node.act(lambda: core.reads.at(index, core.now, fresh))
        node.poke()

    def wait(self) -> None:
        """Wait at some node until a job has ended."""
        node = self._node()
        core = None if node is None else node.core
        if node is None or core is None or not self.acknowledged:
            return
        job_id = self.rng.choice(list(self.acknowledged))

        def look() -> None:
            job = core.replica.job(job_id)
            if job is not None and job.state not in TERMINAL:
                self.waits += 1
                core.watches.add(job_id, lambda: None)

        node.act(look)

    # ---- calls ---------------------------------------------------------------------------------------

    def _node(self) -> SimNode | None:
        up = [node for node in self._nodes if node.up]
        return self.rng.choice(up) if up else None

    def _call(self, command: Command, done: Callable[[Done], None]) -> None:
        self._open += 1
        self.newest = in_words(command)
        self._try(command, done, [False], [False], self.pen.asks(command) if self.pen else 0)

    def _gives_up(self, command: Command) -> bool:
        """After its only try was certainly not applied: then none of its jobs may ever appear."""
        if not isinstance(command, Enqueue) or self.rng.random() < 0.3:
            return False
        ids = {spec.job_id for spec in command.jobs}
        if ids & self._again or not ids <= self.asked.keys():
            return False
        for job_id in ids:
            del self.asked[job_id]
        self.refused |= ids
        return True

    def _try(
        self,
        command: Command,
        done: Callable[[Done], None],
        answered: list[bool],
        tried: list[bool],
        number: int,
    ) -> None:
        if answered[0]:
            return
        node = self._node()
        core: Core | None = None if node is None else node.core
        if node is None or core is None:
            self.world.after(0.2, lambda: self._try(command, done, answered, tried, number))
            return
        self.calls += 1
        first, tried[0] = not tried[0], True
        story = self.world.story
        if story is not None:
            self.world.tell(f"{self.name} asks {node.name}: {story.command(command)}", ASKS)
        over = [False]

        def finished(outcome: Outcome) -> None:
            if over[0] or answered[0] or node.core is not core:
                return
            over[0] = True
            if story is not None:
                about = story.command(command)
                self.world.tell(
                    f"{self.name} is told by {node.name} of {about}: {story.answer(outcome)}", ASKS
                )
            refused = isinstance(outcome, Done) and isinstance(outcome.result, Rejected)
            if isinstance(outcome, Done) and (self.takes_refusals or not refused):
                answered[0] = True
                self._open -= 1
                if self.pen and number:
                    self.pen.told(number, command, outcome, again=not first)
                done(outcome)
            elif isinstance(outcome, NotApplied) and first and self._gives_up(command):
                answered[0] = True
                self._open -= 1
                if self.pen:
                    self.pen.refused(number)
            else:
                delay = self.rng.uniform(0.05, 0.5)
                self.world.after(delay, lambda: self._try(command, done, answered, tried, number))

        def lost_patience() -> None:
            if not over[0] and not answered[0]:
                over[0] = True
                self._try(command, done, answered, tried, number)

        if self.twice and self.rng.random() < self.twice:
            # now nothing is certain about it any more, but that its ids count once
            first = False
            self._send_once_more(command)
        node.act(lambda: core.submit(command, finished))
        node.poke()
        self.world.after(PATIENCE_S, lost_patience)

    def _send_once_more(self, command: Command) -> None:
        """The same call at some node, for whose answer nobody waits."""
        node = self._node()
        core = None if node is None else node.core
        if node is not None and core is not None:
            self.world.tell(f"{self.name} has the same call reach {node.name}, too", FAULT)
            node.act(lambda: core.submit(command, None))
            node.poke()
