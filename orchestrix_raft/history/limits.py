"""Limits of queues, looked at from outside: assignments against what was configured when they were made.

Rates are limits on the log's elapsed time, which events tell.  Those that a node of an earlier version kept
tell only the log's wall clock, which is brought to the right time at half to double speed: what exceeds a
rate by less there is not decided.
"""

from collections import defaultdict, deque
from typing import Any, Final

from orchestrix_raft.history.gathered import History
from orchestrix_raft.history.records import Event, Line
from orchestrix_raft.history.verdict import Findings, Verdict

CHECK: Final = "limits"
NO_EVENTS: Final = (
    "the history has no events (see `check-history --servers`): assignments and their times are unknown"
)
NOT_TOLD: Final = (
    "the events do not tell of every execution that was recorded, as when a node keeps them no longer: what"
    " else was assigned at that time, and by which limits, is unknown"
)
SLEWED: Final = (
    "a rate was exceeded by the log's wall clock, which may have been brought to the right time; events"
    " that a node of an earlier version kept do not tell the elapsed time that limits go by"
)
WALL_RATE_MAX: Final = 2

_Scope = tuple[str, str]  # queue and key; key "": the queue as a whole
_Begun = tuple[Event, Line]


def check_limits(history: History) -> Verdict:
    """Rates and numbers at once, for each queue and each key."""
    findings = Findings(CHECK)
    if not history.has_events:
        findings.undecided(NO_EVENTS)
        return findings.verdict()
    if history.not_told():
        findings.undecided(NOT_TOLD)
    watch = _Watch(findings)
    for event, line in history.events:
        watch.see(event, line)
    return findings.verdict()


class _Watch:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._options: dict[str, dict[str, Any]] = {}
        self._lines: dict[str, Line] = {}  # where those were configured
        self._keys: dict[str, _Scope] = {}  # job -> queue and key
        self._begun: dict[_Scope, deque[_Begun]] = defaultdict(deque)
        self._held: dict[_Scope, dict[int, Line]] = defaultdict(dict)  # tokens
        self._of_worker: dict[str, set[int]] = defaultdict(set)
        self._scopes: dict[int, tuple[_Scope, ...]] = {}

    def see(self, event: Event, line: Line) -> None:
        """One event, in the order of the log."""
        token = event.d.get("token", 0)
        match event.kind:
            case "job_enqueued":
                spec = event.d.get("spec", {})
                self._keys[event.job] = (spec.get("queue", event.queue), spec.get("key", ""))
            case "queue_configured":
                self._configured(event.d.get("name", event.queue), event.d.get("options", {}), line)
            case "job_assigned":
                self._assigned(event, token, line)
            case "job_completed" | "job_released" | "slot_freed":
                self._free(token)
            case "attempt_ended" if event.d.get("reported"):
                self._free(token)
            case "session_ended":
                for held in self._of_worker.pop(event.d.get("worker_id", ""), set()):
                    self._free(held)
            case _:
                pass

    def _configured(self, name: str, options: dict[str, Any], line: Line) -> None:
        before = self._options.get(name, {})
        self._options[name], self._lines[name] = options, line
        for scope in list(self._begun):
            rate = "key_rate" if scope[1] else "rate"
            if scope[0] == name and before.get(rate) != options.get(rate):
                del self._begun[scope]  # the new rate speaks about what comes

    def _assigned(self, event: Event, token: int, line: Line) -> None:
        queue, key = self._keys.get(event.job, (event.queue, ""))
        scopes = ((queue, ""), (queue, key)) if key else ((queue, ""),)
        self._scopes[token] = scopes
        self._of_worker[event.d.get("worker_id", "")].add(token)
        options = self._options.get(queue)
        self._findings.looked_at += options is not None
        if options is None:
            options = {}
        name = f"token {token} of job {event.job} in queue {queue!r}"
        if options.get("paused"):
            self._findings.violation(
                f"{name} was assigned while the queue was paused", self._why(queue, line)
            )
        for scope in scopes:
            held = self._held[scope]
            limit = options.get("key_concurrency" if scope[1] else "concurrency", 0)
            of = f"{name}, key {scope[1]!r}," if scope[1] else name
            if 0 < limit <= len(held):
                what = f"{of} was assigned as number {len(held) + 1} of {limit} at a time"
                self._findings.violation(what, self._why(queue, *held.values(), line))
            held[token] = line
            rate = options.get("key_rate" if scope[1] else "rate")
            if rate:
                self._rate(of, queue, scope, rate, event, line)

    def _rate(
        self, of: str, queue: str, scope: _Scope, rate: dict[str, Any], event: Event, line: Line
    ) -> None:
        """One more than `count` must not fit into a window; of those that end with this assignment, the first
        and the last say whether they do."""
        count, window_ms = rate["count"], rate["window_ms"]
        begun = self._begun[scope]
        begun.append((event, line))
        if len(begun) <= count:
            return
        if len(begun) > count + 1:
            begun.popleft()
        span_ms, exact = _span(begun[0][0], event)
        if span_ms >= window_ms:
            return
        if exact or span_ms * WALL_RATE_MAX < window_ms:
            what = f"{of} was assigned as number {count + 1} of {count} within {span_ms} ms of {window_ms}"
            self._findings.violation(what, self._why(queue, *(each for _, each in begun)))
        else:
            self._findings.undecided(SLEWED)

    def _why(self, queue: str, *lines: Line) -> tuple[Line, ...]:
        configured = self._lines.get(queue)
        return lines if configured is None else (configured, *lines[-8:])

    def _free(self, token: int) -> None:
        for scope in self._scopes.pop(token, ()):
            self._held[scope].pop(token, None)


def _span(first: Event, last: Event) -> tuple[int, bool]:
    """Milliseconds from one to the other, and whether they are those that limits go by."""
    if first.elapsed_ms >= 0 and last.elapsed_ms >= 0:
        return last.elapsed_ms - first.elapsed_ms, True
    return last.at_ms - first.at_ms, False
