"""Short words for histories in tests: each call is one line, a microsecond after the one before."""

from collections.abc import Callable
from typing import Any

from orchestrix_raft.history.checker import Report, check
from orchestrix_raft.history.recorder import CLIENT, Recorder
from orchestrix_raft.history.records import (
    OK,
    REFUSED,
    UNKNOWN,
    AskedJob,
    Event,
    FinalJob,
    Line,
    Missing,
    Observed,
    PastAttempt,
    Placed,
    Record,
)
from orchestrix_raft.history.verdict import Verdict, Word


class Tale:
    """A history in the making; `a`, `b` are clients, `w`, `v` workers.  All share a clock unless said."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.now_ns = 0
        self._recorders: dict[str, Recorder] = {}
        self._events = 0

    def who(self, name: str, clock: str = "one") -> Recorder:
        if name not in self._recorders:
            self._recorders[name] = Recorder(self.records.append, self._tick, name, clock, CLIENT)
        return self._recorders[name]

    def _tick(self) -> int:
        self.now_ns += 1_000
        return self.now_ns

    # ---- clients

    def asks(self, client: str, op: str, job: str = "", **asked: Any) -> int:
        return self.who(client).invoke(op, job=job, **asked)

    def enqueues(self, client: str, job: str, **spec: Any) -> int:
        spec = {"type": "t", "queue": "q", **spec}
        return self.who(client).invoke("enqueue", jobs=(AskedJob(id=job, **spec),))

    def told(self, client: str, number: int, **told: Any) -> None:
        self.who(client).returned(number, OK, **told)

    def unknown(self, client: str, number: int) -> None:
        self.who(client).returned(number, UNKNOWN)

    def refused(self, client: str, number: int) -> None:
        self.who(client).returned(number, REFUSED)

    def enqueue(
        self, client: str, job: str, became: Placed | None = None, index: int = 0, **spec: Any
    ) -> None:
        number = self.enqueues(client, job, **spec)
        self.told(client, number, placed=(became or Placed(id=job),), index=index)

    def steer(self, client: str, op: str, job: str, word: str, **told: Any) -> None:
        self.told(client, self.asks(client, op, job), word=word, **told)

    def get(self, client: str, job: str, word: str, index: int = 0, token: int = 0, **asked: Any) -> None:
        number = self.asks(client, "get", job, **asked)
        self.told(client, number, word=word, index=index, token=token, attempt=int(token > 0))

    # ---- workers

    def start(self, worker: str, job: str, token: int, attempt: int = 1, **told: Any) -> None:
        self.who(worker).started(job, token, attempt, **told)

    def end(self, worker: str, job: str, token: int, outcome: str = "completed") -> None:
        self.who(worker).ended(job, token, outcome)

    def ack(self, worker: str, token: int, accepted: bool = True) -> None:
        self.who(worker).acknowledged(token, accepted)

    def run(self, worker: str, job: str, token: int, outcome: str = "completed", attempt: int = 1) -> None:
        self.start(worker, job, token, attempt)
        self.end(worker, job, token, outcome)
        self.ack(worker, token)

    # ---- the cluster

    def event(self, kind: str, job: str = "", at_ms: int = 0, elapsed_ms: int = -1, **details: Any) -> None:
        self._events += 1
        self.records.append(
            Event(
                index=self._events,
                ordinal=1,
                at_ms=at_ms,
                elapsed_ms=elapsed_ms,
                kind=kind,
                job=job,
                d=details,
            )
        )

    def slot(self, kind: str, at_ms: int, job: str = "", **slot: Any) -> None:
        place = {"slot_ms": at_ms, "missed": 0, "skipped": "", "trigger": 0, **slot}
        self.event(kind, job, at_ms, schedule_id="s", slot=place)

    def announce(self, after_ms: int, next_ms: int) -> None:
        self.event(
            "schedule_advanced",
            at_ms=after_ms,
            schedule_id="s",
            after_ms=after_ms,
            next_slot_ms=next_ms,
            due_ms=next_ms,
        )

    def final(self, job: str, state: str, *attempts: tuple[int, str], token: int = 0, **more: Any) -> None:
        """attempts: (token, how it ended)."""
        observer = self.who("o")
        past = tuple(PastAttempt(attempt=i, token=t, state=how) for i, (t, how) in enumerate(attempts, 1))
        newest = token or max((t for t, _ in attempts), default=0)
        self.records.append(
            FinalJob(
                p="o",
                t=observer.now(),
                id=job,
                type="t",
                queue="q",
                state=state,
                token=newest,
                attempts=past,
                **more,
            )
        )

    def missing(self, job: str) -> None:
        self.records.append(Missing(p="o", t=self.who("o").now(), id=job))

    def over(self, events_after: int = -1, **more: Any) -> None:
        self.records.append(Observed(p="o", t=self.who("o").now(), events_after=events_after, **more))

    # ---- the verdict

    def report(self, steps_max: int = 100_000) -> Report:
        return check([Line(f"#{i}", record) for i, record in enumerate(self.records)], steps_max)

    def verdict(self, name: str) -> Verdict:
        return next(one for one in self.report().verdicts if one.check == name)


Teller = Callable[[Tale], None]


def verdict_of(tell: Teller, name: str) -> Verdict:
    """What that check says of a tale."""
    tale = Tale()
    tell(tale)
    return tale.verdict(name)


def word_of(tell: Teller, name: str) -> Word:
    """The same, in a word."""
    return verdict_of(tell, name).word
