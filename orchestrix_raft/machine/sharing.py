"""Jobs that wait long share in memory what most of them have in common.

Each job comes out of the log with a queue's name, a type and a retry policy of its own, a quarter of what it
takes in memory; a million delayed ones would feel it.  Equal values stand for one another, so nothing that
is decided depends on this.  Used within `machine` only.
"""

from typing import Final

from msgspec.structs import force_setattr

from orchestrix_raft.domain.job import JobSpec
from orchestrix_raft.domain.retry import RetryPolicy

_KNOWN: Final = 10_000
"""Values known at once: with more, they are not what jobs have in common."""


class Sharing:
    """The one copy of each value."""

    __slots__ = ("_names", "_policies")

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._policies: dict[RetryPolicy, RetryPolicy] = {}

    def share(self, spec: JobSpec) -> None:
        """Let it have the copies that others have."""
        names, policies = self._names, self._policies
        if len(names) >= _KNOWN:
            names.clear()
        if len(policies) >= _KNOWN:
            policies.clear()
        force_setattr(spec, "type", names.setdefault(spec.type, spec.type))
        force_setattr(spec, "queue", names.setdefault(spec.queue, spec.queue))
        force_setattr(spec, "retry", policies.setdefault(spec.retry, spec.retry))
