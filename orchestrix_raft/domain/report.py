"""What a worker says of its assignments: parts of commands, and of the worker protocol."""

import msgspec


class _Closed(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    pass


class Completed(_Closed, frozen=True, tag=1):
    """The handler returned.  Times are the worker's wall clock."""

    job_id: bytes
    token: int
    result: bytes  # JSON text
    started_ms: int
    finished_ms: int


class Failed(_Closed, frozen=True, tag=2):
    """The handler raised, or ended because it was told to."""

    job_id: bytes
    token: int
    error: str  # type, message and traceback, cut to limits.ERROR_CHARS
    started_ms: int
    finished_ms: int
    retry_in_ms: int = -1  # what the handler asked for; -1: as the policy says
    final: bool = False  # the handler (or the list of exceptions not to retry) wants no further try
    cancelled: bool = False  # it ended because of a stop that it was sent


class Released(_Closed, frozen=True, tag=3):
    """Given back unfinished (drain): runs again at once, costs no attempt, failure or loss."""

    job_id: bytes
    token: int


Outcome = Completed | Failed | Released


class StartedMark(_Closed, frozen=True):
    """A handler that has been running for a while."""

    job_id: bytes
    token: int
    started_ms: int


class ProgressMark(_Closed, frozen=True):
    """The latest progress of a running handler."""

    job_id: bytes
    token: int
    percent: int
    message: str
