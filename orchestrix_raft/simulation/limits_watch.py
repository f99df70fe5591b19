"""Looks at the limits of queues from the outside: nothing but events and the log's time goes in.

It knows no window, gate or counter of the machine.  Used by the simulator and by property tests.
"""

from collections import defaultdict

from orchestrix_raft.domain.job import JobSpec
from orchestrix_raft.domain.queue import QueueOptions, RateLimitOptions
from orchestrix_raft.machine.events import (
    AttemptEnded,
    Event,
    JobAssigned,
    JobCompleted,
    JobEnqueued,
    JobReleased,
    QueueConfigured,
    SessionEnded,
    SlotFreed,
)

Scope = tuple[str, str]  # queue and key; key "": the queue as a whole


class LimitsWatch:
    """`see` every event in order; it answers what is broken, or ""."""

    def __init__(self) -> None:
        self.assigned = 0  # to jobs of limited queues
        self._options: dict[str, QueueOptions] = {}
        self._specs: dict[bytes, JobSpec] = {}
        self._dispatches: dict[Scope, list[int]] = defaultdict(list)  # since the rate was set: elapsed ms
        self._held: dict[Scope, set[int]] = defaultdict(set)  # tokens
        self._sessions: dict[bytes, set[int]] = defaultdict(set)  # tokens held by each
        self._scopes: dict[int, tuple[Scope, ...]] = {}

    def see(self, event: Event, elapsed_ms: int) -> str:
        """One event of an entry with this elapsed time."""
        match event:
            case JobEnqueued(spec=spec):
                self._specs[spec.job_id] = spec
            case QueueConfigured(name=name, options=options):
                self._configured(name, options)
            case JobAssigned():
                return self._assigned(event, elapsed_ms)
            case JobCompleted(token=token) | JobReleased(token=token) | SlotFreed(token=token):
                self._free(token)
            case AttemptEnded(token=token, reported=True):
                self._free(token)
            case SessionEnded(session_id=session_id):
                for token in self._sessions.pop(session_id, set()):
                    self._free(token)
            case _:
                pass
        return ""

    def _configured(self, name: str, options: QueueOptions) -> None:
        before = self._options.get(name, QueueOptions())
        self._options[name] = options
        for scope in list(self._dispatches):
            rates = (before.key_rate, options.key_rate) if scope[1] else (before.rate, options.rate)
            if scope[0] == name and rates[0] != rates[1]:
                del self._dispatches[scope]  # the new rate speaks about what comes

    def _assigned(self, event: JobAssigned, elapsed_ms: int) -> str:
        spec = self._specs[event.job_id]
        scopes = ((spec.queue, ""), (spec.queue, spec.key)) if spec.key else ((spec.queue, ""),)
        self._scopes[event.token] = scopes
        self._sessions[event.session_id].add(event.token)
        options = self._options.get(spec.queue, QueueOptions())
        self.assigned += options != QueueOptions()
        name = f"job {event.job_id.hex()} of queue {spec.queue}, key {spec.key!r},"
        if options.paused:
            return f"{name} was assigned while the queue was paused"
        for scope in scopes:
            limit = options.key_concurrency if scope[1] else options.concurrency
            held = self._held[scope]
            if 0 < limit <= len(held):
                return f"{name} was assigned as number {len(held) + 1} of {limit} at a time"
            held.add(event.token)
            rate = options.key_rate if scope[1] else options.rate
            if rate is not None:
                fault = self._rate(scope, rate, elapsed_ms)
                if fault:
                    return f"{name} {fault}"
        return ""

    def _rate(self, scope: Scope, rate: RateLimitOptions, elapsed_ms: int) -> str:
        """The window that ends with this dispatch is the fullest of those that contain it last."""
        taken = self._dispatches[scope]
        while taken and taken[0] <= elapsed_ms - rate.window_ms:
            taken.pop(0)
        taken.append(elapsed_ms)
        if len(taken) > rate.count:
            return f"was assigned as number {len(taken)} of {rate.count} in {rate.window_ms} ms"
        return ""

    def _free(self, token: int) -> None:
        for scope in self._scopes.pop(token, ()):
            self._held[scope].discard(token)
