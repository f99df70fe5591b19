"""orchestrix-raft: background jobs on a cluster that is its own database.

The names below are the public API.  They are imported on first use, so that importing the package is
cheap for programs that need only a part of it.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

from orchestrix_raft.version import VERSION as __version__

if TYPE_CHECKING:
    from orchestrix_raft.client.aio import AsyncClient
    from orchestrix_raft.client.events import AuditEntry, Event
    from orchestrix_raft.client.model import (
        Attempt,
        ClusterStatus,
        Job,
        LogLine,
        LogLines,
        Reason,
        RetryPolicy,
    )
    from orchestrix_raft.client.schedule_model import Schedule
    from orchestrix_raft.client.sync import Client
    from orchestrix_raft.wire.errors import (
        AlreadyExists,
        CursorTooOld,
        DeadlineExceeded,
        InvalidArgument,
        JobFailed,
        JobNotFound,
        OrchestrixError,
        OutcomeUnknown,
        PermissionDenied,
        QuotaExceeded,
        ScheduleNotFound,
        Unavailable,
    )
    from orchestrix_raft.wire.transport import TlsFiles
    from orchestrix_raft.worker.context import Discard, JobCancelled, JobContext, Retry
    from orchestrix_raft.worker.worker import Worker

# gRPC reads it when it is imported.  Unset, it writes a line to stderr for every connection that a server
# closes, which is daily life here.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

_ERRORS = "orchestrix_raft.wire.errors"
_MODEL = "orchestrix_raft.client.model"
_CONTEXT = "orchestrix_raft.worker.context"
_HOME = {
    "AlreadyExists": _ERRORS,
    "AsyncClient": "orchestrix_raft.client.aio",
    "Attempt": _MODEL,
    "AuditEntry": "orchestrix_raft.client.events",
    "Client": "orchestrix_raft.client.sync",
    "ClusterStatus": _MODEL,
    "CursorTooOld": _ERRORS,
    "DeadlineExceeded": _ERRORS,
    "Discard": _CONTEXT,
    "Event": "orchestrix_raft.client.events",
    "InvalidArgument": _ERRORS,
    "Job": _MODEL,
    "JobCancelled": _CONTEXT,
    "JobContext": _CONTEXT,
    "JobFailed": _ERRORS,
    "JobNotFound": _ERRORS,
    "LogLine": _MODEL,
    "LogLines": _MODEL,
    "OrchestrixError": _ERRORS,
    "OutcomeUnknown": _ERRORS,
    "PermissionDenied": _ERRORS,
    "QuotaExceeded": _ERRORS,
    "Reason": _MODEL,
    "Retry": _CONTEXT,
    "RetryPolicy": _MODEL,
    "Schedule": "orchestrix_raft.client.schedule_model",
    "ScheduleNotFound": _ERRORS,
    "TlsFiles": "orchestrix_raft.wire.transport",
    "Unavailable": _ERRORS,
    "Worker": "orchestrix_raft.worker.worker",
}

__all__ = [
    "AlreadyExists",
    "AsyncClient",
    "Attempt",
    "AuditEntry",
    "Client",
    "ClusterStatus",
    "CursorTooOld",
    "DeadlineExceeded",
    "Discard",
    "Event",
    "InvalidArgument",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobFailed",
    "JobNotFound",
    "LogLine",
    "LogLines",
    "OrchestrixError",
    "OutcomeUnknown",
    "PermissionDenied",
    "QuotaExceeded",
    "Reason",
    "Retry",
    "RetryPolicy",
    "Schedule",
    "ScheduleNotFound",
    "TlsFiles",
    "Unavailable",
    "Worker",
    "__version__",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
