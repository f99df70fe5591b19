"""The exceptions of the SDKs, and how an error on the wire becomes one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


class OrchestrixError(Exception):
    """Root of everything the SDKs raise.

    `reason` is stable and for programs, the text is for people.  `job_ids` are the ids that a failed
    enqueue was for: sending them again is safe, whatever became of the first try.  `cursor` is how far a
    stream of events had come that ended with this; empty: of anything else, or nothing was told.
    """

    cursor: str = ""

    def __init__(self, message: str, reason: str = "", job_ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.job_ids = job_ids


class InvalidArgument(OrchestrixError):
    """The request is wrong as it stands; sending it again will not help."""


class JobNotFound(OrchestrixError):
    """No such job, confirmed with the leader."""


class ScheduleNotFound(OrchestrixError):
    """No such schedule, confirmed with the leader."""


class AlreadyExists(OrchestrixError):
    """What was to be created is there already."""


class PermissionDenied(OrchestrixError):
    """The caller may not do this."""


class QuotaExceeded(OrchestrixError):
    """A limit of the cluster is reached; the message says which and what to do."""


class Unavailable(OrchestrixError):
    """No server could take the request; nothing was changed."""


class OutcomeUnknown(OrchestrixError):
    """The request may or may not have been applied: ask for the outcome, or send the same ids again."""


class DeadlineExceeded(OrchestrixError):
    """It did not happen within the time given."""


class CursorTooOld(OrchestrixError):
    """What happened right behind the cursor is not kept any more.  `oldest` is the cursor to go on from; what
    lies between is lost to the reader: look at the jobs it follows."""

    oldest: str = ""


class JobFailed(OrchestrixError):
    """The job ended dead or cancelled."""


UNKNOWN: Final = 2  # gRPC's code for an outcome that nobody knows
_BY_CODE: Mapping[int, type[OrchestrixError]] = MappingProxyType(
    {
        UNKNOWN: OutcomeUnknown,
        3: InvalidArgument,
        4: DeadlineExceeded,
        5: JobNotFound,
        6: AlreadyExists,
        7: PermissionDenied,
        8: QuotaExceeded,
        14: Unavailable,
        16: PermissionDenied,
    }
)


_BY_REASON: Mapping[str, type[OrchestrixError]] = MappingProxyType(
    {"SCHEDULE_NOT_FOUND": ScheduleNotFound, "CURSOR_TOO_OLD": CursorTooOld}
)


def error_for(code: int, reason: str, message: str, job_ids: tuple[str, ...] = ()) -> OrchestrixError:
    """The exception for a gRPC status code.  UNKNOWN counts as such only with our own reason: a proxy or a
    broken server uses the same code for anything."""
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code, OrchestrixError)
    if kind is OutcomeUnknown and reason != "OUTCOME_UNKNOWN":
        kind = OrchestrixError
    return kind(message, reason, job_ids)
