"""Drives one machine in tests: stamps entries, numbers commands, checks every invariant after every entry."""

from collections.abc import Iterable

from orchestrix_raft.domain.job import Attempt, Job, JobSpec
from orchestrix_raft.domain.report import Completed, Failed, Outcome, Released
from orchestrix_raft.domain.retry import RetryPolicy
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import (
    AttachSession,
    Batch,
    CancelJobs,
    Command,
    Enqueue,
    NodeStarted,
    PurgeJobs,
    Report,
    RetryJobs,
)
from orchestrix_raft.machine.events import Event, JobAssigned, SlotFired
from orchestrix_raft.machine.history import ATTEMPTS
from orchestrix_raft.machine.invariants import check, check_stored
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.machine.port import Applied, Result
from orchestrix_raft.machine.rules import RULES, Rules

WALL_START_MS = 1_700_000_000_000
NO_JITTER = RetryPolicy(jitter_percent=0)


def key(name: str) -> bytes:
    """A 16-byte id that shows its name."""
    return name.encode().ljust(16, b".")


def name_of(identity: bytes) -> str:
    """The inverse of `key`."""
    return identity.rstrip(b".").decode()


def job(name: str, **fields: object) -> JobSpec:
    """A job on queue `default` without jitter, unless `fields` say otherwise."""
    given: dict[str, object] = {"type": "t", "queue": "default", "args": b"{}", "retry": NO_JITTER, **fields}
    return JobSpec(key(name), **given)  # type: ignore[arg-type]


class Driver:
    """A machine, its store, and a node `n0` through which commands come."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.store = MemoryStore()
        self.machine = Machine(self.store, self.store, rules)
        self.index = 0
        self.elapsed_ms = 0
        self.wall_ms = WALL_START_MS
        self.applied = Applied([], [], [], [])
        self.tokens: dict[tuple[str, int], tuple[bytes, int]] = {}  # (job, attempt) -> session, token
        self.runs: dict[str, bytes] = {}  # name -> job id of a schedule's run
        self.log: list[bytes] = []
        self.start_node("n0")

    # ---- entries

    def apply(self, *batches: Batch) -> Applied:
        """One entry, now."""
        self.index += 1
        data = codec.encode_entry(codec.make_entry(self.elapsed_ms, self.wall_ms, batches))
        self.log.append(data)
        self.applied = self.machine.apply(self.index, 1, codec.decode_entry(data))
        check(self.machine)
        check_stored(self.machine, self.store.pairs)
        for event in self.applied.events:
            if isinstance(event, SlotFired):
                self._name_run(event)
            if isinstance(event, JobAssigned):
                self.tokens[(self.name(event.job_id), event.attempt)] = (event.session_id, event.token)
        return self.applied

    def _name_run(self, event: SlotFired) -> None:
        seconds = (event.slot.slot_ms - WALL_START_MS) / 1_000
        mark = f"!{event.slot.trigger}" if event.slot.trigger else f"@{seconds:.12g}s"
        self.runs[event.schedule_id + mark] = event.job_id

    def name(self, job_id: bytes) -> str:
        """Of a job: a run's (`s@30s`, `s!1`) or its own."""
        return next((name for name, run in self.runs.items() if run == job_id), "") or name_of(job_id)

    def id_of(self, name: str) -> bytes:
        """The inverse."""
        return self.runs.get(name) or key(name)

    def tick(self, ms: int) -> list[Event]:
        """Time passes on both clocks; an entry without commands."""
        self.elapsed_ms += ms
        self.wall_ms += ms
        return self.apply().events

    def batch(self, *commands: Command, node: str = "n0") -> Batch:
        """The next numbered commands of a node."""
        known = self.machine.state.nodes[node]
        return Batch(node, known.incarnation, known.sequence + 1, commands)

    def do(self, command: Command, node: str = "n0") -> Result:
        """One numbered command as an entry of its own; its result."""
        applied = self.apply(self.batch(command, node=node))
        (resolved,) = applied.resolved
        return resolved.result

    def do_unnumbered(self, command: Command) -> None:
        """One command that nobody sends again, as an entry of its own."""
        self.apply(codec.unnumbered(command))

    @property
    def events(self) -> list[Event]:
        """Of the newest entry."""
        return self.applied.events

    # ---- shorthand

    def start_node(self, node: str, boot: str = "") -> int:
        """NodeStarted; the incarnation."""
        started = NodeStarted(node, key(boot or node), f"{node}:7400", "1")
        self.apply(codec.unnumbered(started))
        return self.machine.state.nodes[node].incarnation

    def attach(
        self,
        name: str,
        node: str = "n0",
        *,
        queues: Iterable[str] = ("default",),
        capacity: int = 1,
        labels: Iterable[str] = (),
    ) -> Result:
        """A worker comes; its session id is `key(name)`."""
        command = AttachSession(key(name), node, name, tuple(queues), capacity, tuple(labels))
        return self.do(command)

    def enqueue(self, *specs: JobSpec | str) -> Result:
        """Jobs in one command; a name is a plain job."""
        return self.do(Enqueue(tuple(job(spec) if isinstance(spec, str) else spec for spec in specs)))

    def held(self, name: str, attempt: int = 0) -> tuple[bytes, int]:
        """(session id, token) of an assignment, the newest without a number."""
        if not attempt:
            attempt = max(number for other, number in self.tokens if other == name)
        return self.tokens[(name, attempt)]

    def complete(self, *names: str, attempt: int = 0, result: bytes = b'"ok"') -> Result:
        """Report success; all must be held by one session."""
        session_id = self.held(names[0], attempt)[0]
        outcomes = tuple(
            Completed(self.id_of(n), self.held(n, attempt)[1], result, 0, self.wall_ms) for n in names
        )
        return self.do(Report(session_id, outcomes))

    def fail(
        self,
        name: str,
        error: str = "boom",
        *,
        attempt: int = 0,
        retry_in_ms: int = -1,
        final: bool = False,
        cancelled: bool = False,
    ) -> Result:
        """Report a failure."""
        session_id, token = self.held(name, attempt)
        outcome = Failed(self.id_of(name), token, error, 0, self.wall_ms, retry_in_ms, final, cancelled)
        return self.report(session_id, outcome)

    def release(self, name: str, *, attempt: int = 0) -> Result:
        """Give a job back."""
        session_id, token = self.held(name, attempt)
        return self.report(session_id, Released(self.id_of(name), token))

    def report(self, session_id: bytes, *outcomes: Outcome) -> Result:
        """Any report."""
        return self.do(Report(session_id, outcomes))

    def cancel(self, *names: str, request: bytes = b"", reason: str = "") -> Result:
        """CancelJobs."""
        return self.do(CancelJobs(request, tuple(map(self.id_of, names)), reason))

    def retry(self, *names: str, request: bytes = b"") -> Result:
        """RetryJobs."""
        return self.do(RetryJobs(request, tuple(map(self.id_of, names))))

    def purge(self, *names: str, request: bytes = b"") -> Result:
        """PurgeJobs."""
        return self.do(PurgeJobs(request, tuple(map(self.id_of, names))))

    # ---- looking

    def job(self, name: str) -> Job:
        """Live or finished."""
        found = self.machine.find_job(self.id_of(name))
        assert found is not None
        return found

    def attempts(self, name: str) -> list[Attempt]:
        """The history of a job, oldest first."""
        rows = self.store.scan(ATTEMPTS, key(name), 1_000)
        return [codec.decode_attempt(value) for place, value in rows if place[:16] == key(name)]

    def assignments(self) -> list[tuple[str, str]]:
        """(job, worker) of the newest entry, in order."""
        return [
            (self.name(event.job_id), name_of(event.session_id))
            for event in self.events
            if isinstance(event, JobAssigned)
        ]
