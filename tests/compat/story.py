"""What a recording tells: something of every kind that a cluster goes through, on the disk of one node.

It begins at the first machine level and reaches the highest of its version before the checkpoint.  So one
journal has entries of every level in it, and those on which levels decide differently are there at each.

Every command is there at least as one that is refused (`samples`); those below are carried out.  Workers are
attached to a second node, of which there is only the name: so what they say can be told here, too.
"""

from msgspec.structs import replace

from orchestrix_raft.domain.job import JobSpec, JobState, OnConflict, UniqueRule, UniqueScope
from orchestrix_raft.domain.keeping import JobFilter
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.queue import QueueChange, RateLimitOptions
from orchestrix_raft.domain.report import Completed, Failed, Outcome, ProgressMark, Released, StartedMark
from orchestrix_raft.domain.retry import RetryPolicy
from orchestrix_raft.domain.schedule import (
    CronSchedule,
    IntervalSchedule,
    OneShotSchedule,
    Overlap,
    ScheduleSpec,
)
from orchestrix_raft.machine.commands import (
    Asked,
    AttachSession,
    Auditable,
    CancelJobs,
    CancelWhere,
    CloseSession,
    ConfigureQueue,
    DeleteSchedule,
    DetachSession,
    DrainSession,
    Enqueue,
    NodeHealthChanged,
    NodeStarted,
    NodeStopped,
    Observe,
    PauseSchedule,
    PurgeJobs,
    PurgeWhere,
    PutSchedule,
    Report,
    ResumeSchedule,
    ResumeSession,
    RetryJobs,
    RetryWhere,
    TriggerSchedule,
)
from orchestrix_raft.storage.port import LogLine
from orchestrix_raft.version import MACHINE_LEVEL
from tests.compat import samples
from tests.compat.one_node import ADDRESS, WALL_START_MS, OneNode

OTHER = "n2"


def key(name: str) -> bytes:
    """A 16-byte id that shows its name."""
    return name.encode().ljust(16, b".")


def job(name: str, **fields: object) -> JobSpec:
    """A job on queue `default`."""
    given: dict[str, object] = {"type": "send", "queue": "default", "args": b'{"to":"you"}', **fields}
    return JobSpec(key(name), **given)  # type: ignore[arg-type]


class Story:
    """Told in two halves, so that a checkpoint can be made between them."""

    def __init__(self, node: OneNode) -> None:
        self.node = node
        self.do = node.do

    def first(self) -> None:
        """Up to the checkpoint: everything has begun, and some of it has ended."""
        self.node.run(3.0)
        self._nodes()
        self._sessions()
        self._jobs()
        self._limits()
        self._schedules()
        for sample in samples.commands():
            self.do(sample)
        self._by_hand("1")
        self._raise()
        self._by_hand(str(MACHINE_LEVEL))
        self.node.local.append_lines(
            {key("done"): [LogLine(1, 0, WALL_START_MS, "info", "kept beside the log")]}, WALL_START_MS
        )

    def second(self) -> None:
        """Behind it: the rest ends, and is forgotten."""
        self._steering()
        self._sessions_end()
        self.node.run(130.0)
        self.do(Enqueue((job("last", labels=("gpu",)), job("later", delay_ms=3_600_000))))
        self.do(NodeStarted(OTHER, key("p"), f"{OTHER}:7400", "0.0.1", MACHINE_LEVEL))
        self._attach("w4", 1)
        self.do(Enqueue((job("held"),)))

    # ---- parts

    def _nodes(self) -> None:
        self.do(NodeStarted(OTHER, key("o"), f"{OTHER}:7400", "0.0.1", MACHINE_LEVEL))
        for name, boot in (("n8", "a"), ("n9", "b")):
            self.do(NodeStarted(name, key(boot), f"{name}:7400", "0.0.1"))
        self._two_end()

    def _two_end(self) -> None:
        """From then on the level waits for them."""
        state = self.node.core.state
        self.do(NodeHealthChanged("n8", state.nodes["n8"].incarnation, Health.SUSPECT))
        self.do(NodeHealthChanged("n8", state.nodes["n8"].incarnation, Health.DEAD))
        self.do(NodeStopped("n9", state.nodes["n9"].incarnation))

    def _raise(self) -> None:
        """They come back with a version that can run the highest level, and are there until it is raised."""
        assert self.node.core.state.level == FIRST_LEVEL
        for name, boot in (("n8", "e"), ("n9", "f")):
            self.do(NodeStarted(name, key(boot), f"{name}:7400", "0.0.2", MACHINE_LEVEL))
        self.node.run(1.0)
        assert self.node.core.state.level == MACHINE_LEVEL
        self._two_end()

    def _by_hand(self, mark: str) -> None:
        """What somebody asks for, told at each level: the trail says other things of it."""
        template = JobSpec(b"", "send", "nobody", b"{}")
        nightly = ScheduleSpec(f"nightly-{mark}", IntervalSchedule(3_600_000), template)
        dead = JobFilter((JobState.DEAD,), type="nothing")
        limits = QueueChange(rate=RateLimitOptions(100, 1_500), key_concurrency=2)
        asked: tuple[Auditable, ...] = (
            PutSchedule(b"", nightly),
            PauseSchedule(b"", nightly.schedule_id, "a rest"),
            ConfigureQueue(b"", f"asked-{mark}", limits),
            ConfigureQueue(b"", f"asked-{mark}", QueueChange(paused=True, clear=("rate",))),
            ConfigureQueue(b"", f"asked-{mark}", QueueChange(concurrency=-1)),
            RetryWhere(b"", dead, b"", 10),
            RetryWhere(b"", dead, key("a later step"), 10),
            CancelJobs(b"", (key("unknown"),), ""),
        )
        for number, command in enumerate(asked):
            request_id = key(f"asked-{mark}-{number}")
            self.do(Asked(f"somebody at level {mark}", replace(command, request_id=request_id)))

    def _attach(self, name: str, capacity: int, *labels: str) -> None:
        self.do(AttachSession(key(name), OTHER, name, ("default", "mail"), capacity, labels))

    def _sessions(self) -> None:
        self._attach("w1", 6)
        self._attach("w2", 2, "gpu")
        self._attach("w3", 1)
        self.do(DetachSession(key("w2"), 1))
        self.do(ResumeSession(key("w2"), OTHER, 1))

    def _token(self, name: str) -> tuple[bytes, int]:
        known = self.node.core.state.jobs[key(name)]
        return known.session_id, known.token

    def _end(self, name: str, how: str) -> None:
        session_id, token = self._token(name)
        now_ms = self.node.core.wall_ms
        outcomes: dict[str, Outcome] = {
            "completed": Completed(key(name), token, b'{"ok":true}', now_ms - 5, now_ms),
            "failed": Failed(key(name), token, "ValueError: no", now_ms - 5, now_ms),
            "final": Failed(key(name), token, "ValueError: never", now_ms - 5, now_ms, -1, True),
            "released": Released(key(name), token),
        }
        self.do(Report(session_id, (outcomes[how],)))

    def _jobs(self) -> None:
        no_retry = RetryPolicy(max_retries=0)
        self.do(
            Enqueue(
                (
                    job("done", priority=5, correlation_id="order-1", timeout_ms=60_000),
                    job("dead", retry=no_retry),
                    job("again", retry_for_ms=3_600_000),
                    job("back", labels=("gpu",)),
                    job("large", args=b'"' + b"x" * 20_000 + b'"'),
                    job("soon", delay_ms=2_000),
                    job("at", run_at_ms=self.node.core.wall_ms + 4_000),
                    job("brief", queue="nobody", expires_ms=1_000),
                )
            )
        )
        self.do(Enqueue((job("done"), job("x" * 99))))  # one that is there, and one that cannot be
        session_id, token = self._token("done")
        self.do(
            Observe(
                session_id,
                (StartedMark(key("done"), token, self.node.core.wall_ms),),
                (ProgressMark(key("done"), token, 50, "half"),),
            )
        )
        for name, how in (
            ("done", "completed"),
            ("dead", "final"),
            ("again", "failed"),
            ("back", "released"),
        ):
            self._end(name, how)
        self.do(Report(session_id, (Completed(key("large"), 1, b"0", 0, 0),)))  # of an old token
        rule = UniqueRule(UniqueScope.WINDOW, 5_000, OnConflict.REPLACE)
        for name in ("one", "two"):
            self.do(Enqueue((job(name, queue="nobody", unique_key="k", unique=rule),)))
        self.do(CancelJobs(b"r1", (key("large"), key("two"), key("done")), "not wanted"))
        self.do(RetryJobs(b"r2", (key("dead"), key("again"))))

    def _limits(self) -> None:
        rate = RateLimitOptions(2, 10_000)
        self.do(ConfigureQueue(b"q1", "mail", QueueChange(rate=rate, concurrency=3, key_rate=rate)))
        self.do(Enqueue(tuple(job(f"mail{n}", queue="mail", key="eu" if n % 2 else "us") for n in range(6))))
        self.do(ConfigureQueue(b"q2", "quiet", QueueChange(paused=True)))
        self.do(Enqueue((job("waits", queue="quiet"),)))

    def _schedules(self) -> None:
        template = job("run", queue="nobody")
        template = JobSpec(b"", template.type, template.queue, template.args)
        now_ms = self.node.core.wall_ms
        for spec in (
            ScheduleSpec("cron", CronSchedule("* * * * *", "Europe/Berlin"), template, jitter_ms=500),
            ScheduleSpec("every", IntervalSchedule(2_000), template, overlap=Overlap.BUFFER_ALL),
            ScheduleSpec("once", OneShotSchedule(now_ms + 3_000), template),
        ):
            self.do(PutSchedule(b"put-" + spec.schedule_id.encode(), spec))
        self.node.run(7.0)
        self.do(TriggerSchedule(b"s1", "cron"))
        self.do(PauseSchedule(b"s2", "every", "a rest"))
        self.do(ResumeSchedule(b"s3", "every"))
        self.do(DeleteSchedule(b"s4", "once"))

    def _steering(self) -> None:
        waiting = JobFilter((JobState.PENDING, JobState.SCHEDULED), queue="nobody")
        self.do(CancelWhere(b"w1", waiting, b"", 100, "all of them"))
        self.do(RetryWhere(b"w2", JobFilter((JobState.DEAD,)), b"", 10))
        self.do(PurgeWhere(b"w3", JobFilter((JobState.CANCELLED,), type="send"), b"", 2))
        self.do(PurgeJobs(b"w4", (key("done"), key("again"))))
        self.do(ConfigureQueue(b"q3", "quiet", QueueChange(paused=False)))
        self.do(DeleteSchedule(b"s5", "every"))

    def _sessions_end(self) -> None:
        self.do(DrainSession(key("w3")))
        epochs = {name: self.node.core.state.sessions[key(name)].epoch for name in ("w1", "w2", "w3")}
        self.do(CloseSession(key("w3"), epochs["w3"]))
        self.do(DetachSession(key("w1"), epochs["w1"]))
        self.do(DetachSession(key("w2"), epochs["w2"]))
        self.do(NodeStarted("n9", key("old"), ADDRESS, "0.0.1"))  # too old by now
        self.do(NodeStarted("n9", key("c"), ADDRESS, "0.0.2", MACHINE_LEVEL))
