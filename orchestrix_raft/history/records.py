"""The lines of a history, and their form as JSON.

One JSON object a line; `e` says what it is.  Every process that records begins with a `Header`; its lines
carry the process id `p` of that header, so that the lines of many processes may be mixed in one file.
Times `t` are nanoseconds of the clock that the header names; two times are compared only within one clock.
"""

from typing import Any, Final

import msgspec

from orchestrix_raft.undecodable import UNDECODABLE

VERSION: Final = 1

OK: Final = "ok"
REFUSED: Final = "refused"  # certainly not applied; `reason` says why
UNKNOWN: Final = "unknown"  # it may take effect at any time from its invocation on, or never


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="e"):
    pass


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    pass


class Header(_Record, frozen=True, tag="history"):
    """The first line of a process."""

    v: int  # VERSION
    p: str
    clock: str  # processes with the same word here share one monotonic clock
    role: str = ""  # client, worker, observer
    name: str = ""  # for people


class AskedJob(_Part, frozen=True):
    """A job that an enqueue asks for: what the checks need of it."""

    id: str
    type: str
    queue: str
    key: str = ""
    unique_key: str = ""
    scope: str = ""  # until_done, until_started, window; "": no unique key
    for_ms: int = 0  # of a window
    on_conflict: str = ""  # return_existing, replace, reject
    later: bool = False  # it has a delay or a run_at
    expires: bool = False  # it is cancelled by itself if nobody takes it in time


class Placed(_Part, frozen=True):
    """What became of one job of an enqueue."""

    id: str = ""  # of the job there is now; "": none, see `refused`
    created: bool | None = True  # False: it was there before; None: nobody knows
    refused: str = ""

    def open_for(self, asked: AskedJob) -> bool:
        """It was not made, and an earlier sending of the same request may still make it."""
        return self.created is None and self.id != asked.id


class Invoke(_Record, frozen=True, tag="invoke"):
    """A client is about to ask.  `op`: enqueue, get, wait, cancel, retry, purge, cancel_where, retry_where,
    purge_where, or another word, which is kept for readers and not checked."""

    p: str
    t: int
    n: int  # of the operation, unique in its process
    op: str
    jobs: tuple[AskedJob, ...] = ()
    job: str = ""
    min_index: int = 0  # reads: the answer must be at least as new
    linearizable: bool = False  # reads: as new as anything acknowledged before
    states: tuple[str, ...] = ()  # of a filter; empty: any
    queue: str = ""
    type: str = ""
    schedule: str = ""
    request: str = ""  # its request id


class Return(_Record, frozen=True, tag="return"):
    """A client has its answer, or has given up."""

    p: str
    t: int
    n: int
    outcome: str  # OK, REFUSED, UNKNOWN
    reason: str = ""
    index: int = 0  # writes: applied by this log index; reads: the state after exactly this one; 0: not told
    placed: tuple[Placed, ...] = ()  # one for each job of the enqueue
    word: str = ""  # of cancel, retry and purge; of a read: the state of the job, or not_found
    token: int = 0  # reads: of the newest assignment
    attempt: int = 0
    done: int = 0  # commands on a filter


class Start(_Record, frozen=True, tag="start"):
    """A handler is about to begin."""

    p: str
    t: int
    job: str
    token: int
    attempt: int
    type: str = ""
    queue: str = ""
    worker: str = ""
    schedule: str = ""  # whose run the job is
    slot_ms: int = 0  # when that run was due


class End(_Record, frozen=True, tag="end"):
    """A handler has ended, or its job is given back."""

    p: str
    t: int
    job: str
    token: int
    outcome: str  # completed, failed, cancelled, released


class Ack(_Record, frozen=True, tag="ack"):
    """A node has answered the report of an end."""

    p: str
    t: int
    token: int
    accepted: bool  # False: the token was not valid any more


class Event(_Record, frozen=True, tag="event"):
    """An event of the cluster's feed; docs/reference/events.md has the kinds and their details."""

    index: int
    ordinal: int  # within the log entry, from 1
    at_ms: int  # the log's wall clock
    kind: str
    job: str = ""
    queue: str = ""
    type: str = ""
    elapsed_ms: int = -1  # the log's elapsed time; -1: not told
    d: dict[str, Any] = {}


class PastAttempt(_Part, frozen=True):
    """A finished attempt."""

    attempt: int
    token: int
    state: str
    worker: str = ""
    reason: str = ""


class FinalJob(_Record, frozen=True, tag="job"):
    """A job as the cluster has it at the end, with its finished attempts."""

    p: str
    t: int  # before it was asked for
    id: str
    type: str
    queue: str
    state: str
    token: int
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    index: int = 0  # the state after exactly this log index
    schedule: str = ""
    slot_ms: int = 0
    attempts: tuple[PastAttempt, ...] = ()
    cut: bool = False  # it had more attempts than are kept


class Missing(_Record, frozen=True, tag="missing"):
    """A job that the cluster does not have at the end."""

    p: str
    t: int
    id: str


class Observed(_Record, frozen=True, tag="observed"):
    """The final observation is complete: every job that was named before it was asked for."""

    p: str
    t: int
    at_ms: int = 0  # the log's wall clock
    events_after: int = -1  # the events behind this log index are in the history; -1: none are
    forgets: bool = False  # ended jobs may have been forgotten by age or number meanwhile


Record = Header | Invoke | Return | Start | End | Ack | Event | FinalJob | Missing | Observed

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Record).decode


class BadLine(ValueError):
    """A line that is none of a history: why, in one line."""


class Line(msgspec.Struct, frozen=True, gc=False):
    """A record and where it stands."""

    where: str  # file:number, or #number
    record: Record


def to_line(record: Record) -> bytes:
    """With its newline."""
    return _encode(record) + b"\n"


def read_line(data: bytes) -> Record:
    """The inverse; BadLine for what it is not."""
    try:
        record: Record = _decode(data)
    except UNDECODABLE as error:
        raise BadLine(f"not a line of a history: {error}") from error
    if isinstance(record, Header) and record.v != VERSION:
        raise BadLine(f"a history of version {record.v}; this program reads version {VERSION}")
    return record
