"""Writes down what a client, a worker or an observer asks and sees.

A recorder is given a clock and a sink; which file that is, is not its affair.  `invoke` goes before the
request leaves and `returned` after its answer came, so that what is between the two lines contains the moment
in which the operation took effect.  Safe to share between threads.
"""

import itertools
from collections.abc import Callable
from typing import Any, Final

from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.job import JobSpec, OnConflict, UniqueScope
from orchestrix_raft.history.records import (
    VERSION,
    Ack,
    AskedJob,
    End,
    Header,
    Invoke,
    Record,
    Return,
    Start,
)

CLIENT: Final = "client"
WORKER: Final = "worker"
OBSERVER: Final = "observer"

Sink = Callable[[Record], None]


class Recorder:
    """Of one process, under the id `process`.  now_ns: the clock that all processes with the same word
    `clock` share."""

    def __init__(
        self, sink: Sink, now_ns: Callable[[], int], process: str, clock: str, role: str = "", name: str = ""
    ) -> None:
        self.process = process
        self._write = sink
        self._now_ns = now_ns
        self._numbers = itertools.count(1)
        sink(Header(v=VERSION, p=process, clock=clock, role=role, name=name))

    def now(self) -> int:
        """Nanoseconds."""
        return self._now_ns()

    def write(self, record: Record) -> None:
        """A record made by the caller."""
        self._write(record)

    # ---- clients

    def invoke(self, op: str, **asked: Any) -> int:
        """An operation begins; its number.  asked: further fields of `Invoke`."""
        number = next(self._numbers)
        self._write(Invoke(p=self.process, t=self._now_ns(), n=number, op=op, **asked))
        return number

    def returned(self, number: int, outcome: str, **told: Any) -> None:
        """It has ended.  told: further fields of `Return`."""
        self._write(Return(p=self.process, t=self._now_ns(), n=number, outcome=outcome, **told))

    # ---- workers

    def started(self, job: str, token: int, attempt: int, **told: Any) -> None:
        """A handler is about to begin.  told: further fields of `Start`."""
        self._write(Start(p=self.process, t=self._now_ns(), job=job, token=token, attempt=attempt, **told))

    def ended(self, job: str, token: int, outcome: str) -> None:
        """A handler has ended: completed, failed, cancelled or released."""
        self._write(End(p=self.process, t=self._now_ns(), job=job, token=token, outcome=outcome))

    def acknowledged(self, token: int, accepted: bool) -> None:
        """A node has answered the report of an end."""
        self._write(Ack(p=self.process, t=self._now_ns(), token=token, accepted=accepted))


def asked_job(spec: JobSpec) -> AskedJob:
    """What a history needs of a job that is asked for."""
    rule, keyed = spec.unique, bool(spec.unique_key)
    return AskedJob(
        id=format_job_id(spec.job_id),
        type=spec.type,
        queue=spec.queue,
        key=spec.key,
        unique_key=spec.unique_key,
        scope=(UniqueScope.UNTIL_DONE if rule is None else rule.scope).word if keyed else "",
        for_ms=0 if rule is None else rule.for_ms,
        on_conflict=(OnConflict.RETURN_EXISTING if rule is None else rule.on_conflict).word if keyed else "",
        later=bool(spec.delay_ms or spec.run_at_ms),
        expires=bool(spec.expires_ms),
    )
