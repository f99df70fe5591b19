"""A history, put together: operations with their answers, executions of handlers, events, the final state.

What is read here is only sorted, not judged; a line that contradicts the form of a history (an answer without
a question, a process without a header) is a BadHistory, because nothing can be concluded from such a file.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec

from orchestrix_raft.history.records import (
    UNKNOWN,
    Ack,
    End,
    Event,
    FinalJob,
    Header,
    Invoke,
    Line,
    Missing,
    Observed,
    Return,
    Start,
)

NEVER: Final = 1 << 63
"""When an operation without an answer ended."""


class BadHistory(ValueError):
    """The lines do not make a history: which one, and why."""


class Operation:
    """A question, and its answer if there was one."""

    __slots__ = ("asked", "asked_at", "clock", "told", "told_at")

    def __init__(self, asked: Invoke, asked_at: Line, clock: str) -> None:
        self.asked = asked
        self.asked_at = asked_at
        self.clock = clock
        self.told: Return | None = None
        self.told_at: Line | None = None

    @property
    def ended(self) -> int:
        """Nanoseconds; NEVER for one whose outcome is unknown: it may take effect later."""
        return NEVER if self.told is None or self.told.outcome == UNKNOWN else self.told.t

    @property
    def lines(self) -> tuple[Line, ...]:
        """Where it stands."""
        return (self.asked_at,) if self.told_at is None else (self.asked_at, self.told_at)

    def lines_of(self, position: int) -> tuple[Line, ...]:
        """The same of one job of an enqueue, without the others that were asked for with it."""
        jobs = self.asked.jobs[position : position + 1]
        lines = [Line(self.asked_at.where, msgspec.structs.replace(self.asked, jobs=jobs))]
        if self.told is not None and self.told_at is not None:
            placed = self.told.placed[position : position + 1]
            lines.append(Line(self.told_at.where, msgspec.structs.replace(self.told, placed=placed)))
        return tuple(lines)


class Execution:
    """One run of a handler, as its worker saw it."""

    __slots__ = ("accepted", "ack_line", "clock", "end", "end_line", "start", "start_line")

    def __init__(self, start: Start, start_line: Line, clock: str) -> None:
        self.start = start
        self.start_line = start_line
        self.clock = clock
        self.end: End | None = None
        self.end_line: Line | None = None
        self.accepted: Ack | None = None  # the first answer that accepted its report
        self.ack_line: Line | None = None

    @property
    def lines(self) -> tuple[Line, ...]:
        """Where it stands."""
        return tuple(line for line in (self.start_line, self.end_line, self.ack_line) if line is not None)


class History:
    """Everything that was recorded, by what it is about."""

    def __init__(self) -> None:
        self.lines = 0
        self.headers: dict[str, Header] = {}
        self.operations: list[Operation] = []
        self.executions: dict[int, list[Execution]] = defaultdict(list)  # by token
        self.tokens: dict[str, list[int]] = defaultdict(list)  # job -> tokens of its executions
        self.events: list[tuple[Event, Line]] = []  # in the order of the log, each once
        self.jobs: dict[str, tuple[FinalJob, Line]] = {}
        self.missing: dict[str, tuple[Missing, Line]] = {}
        self.observed: tuple[Observed, Line] | None = None

    @property
    def has_events(self) -> bool:
        """The feed of events is part of it."""
        return self.observed is not None and self.observed[0].events_after >= 0

    def not_told(self) -> set[int]:
        """Tokens of recorded executions, and of the attempts of jobs that a recorded client made, whose
        assignment no event tells: a node keeps events for a time only, and a cluster that was restored or
        recovered begins without any."""
        made = {
            placed.id
            for operation in self.operations
            if operation.told is not None
            for placed in operation.told.placed
            if placed.created
        }
        known = set(self.executions)
        known.update(
            one.token for job_id, (final, _) in self.jobs.items() if job_id in made for one in final.attempts
        )
        return known - {event.d.get("token", 0) for event, _ in self.events if event.kind == "job_assigned"}

    def clock_of(self, process: str, line: Line) -> str:
        """The clock of the times of a process."""
        header = self.headers.get(process)
        if header is None:
            raise BadHistory(f"{line.where}: process {process!r} has no header line before this one")
        return header.clock


def gather(lines: Iterable[Line]) -> History:
    """The lines of one or several files.  Lines of one process stand in the order in which they were written;
    those of several may be mixed in any way."""
    return _Gathering().run(lines)


class _Gathering:
    def __init__(self) -> None:
        self._history = History()
        self._open: dict[tuple[str, int], Operation] = {}
        self._running: dict[tuple[str, int], Execution] = {}
        self._events: dict[tuple[int, int], tuple[Event, Line]] = {}

    def run(self, lines: Iterable[Line]) -> History:
        """All of them."""
        history = self._history
        for line in lines:
            history.lines += 1
            match line.record:
                case Header() as record:
                    history.headers[record.p] = record
                case Invoke() | Return() | Start() | End() | Ack():
                    self._seen(line)
                case Event() as record:
                    self._events.setdefault((record.index, record.ordinal), (record, line))
                case FinalJob() as record:
                    history.jobs[record.id] = (record, line)
                    history.missing.pop(record.id, None)
                case Missing() as record:
                    history.missing[record.id] = (record, line)
                    history.jobs.pop(record.id, None)
                case Observed() as record:
                    history.observed = (record, line)
        history.events = [self._events[place] for place in sorted(self._events)]
        return history

    def _seen(self, line: Line) -> None:
        history, record = self._history, line.record
        match record:
            case Invoke():
                operation = Operation(record, line, history.clock_of(record.p, line))
                if (record.p, record.n) in self._open:
                    raise BadHistory(f"{line.where}: operation {record.n} of {record.p} was begun before")
                self._open[(record.p, record.n)] = operation
                history.operations.append(operation)
            case Return():
                asked = self._open.get((record.p, record.n))
                if asked is None or asked.told is not None:
                    raise BadHistory(f"{line.where}: an answer, and no open operation {record.n}")
                if record.t < asked.asked.t:
                    raise BadHistory(f"{line.where}: the answer is older than the question")
                if record.placed and len(record.placed) != len(asked.asked.jobs):
                    raise BadHistory(f"{line.where}: answers for another number of jobs than were asked for")
                asked.told, asked.told_at = record, line
            case Start():
                execution = Execution(record, line, history.clock_of(record.p, line))
                history.executions[record.token].append(execution)
                history.tokens[record.job].append(record.token)
                self._running[(record.p, record.token)] = execution
            case End():
                running = self._running.get((record.p, record.token))
                if running is not None and running.end is None:
                    running.end, running.end_line = record, line
            case Ack():
                running = self._running.get((record.p, record.token))
                if running is not None and record.accepted and running.accepted is None:
                    running.accepted, running.ack_line = record, line
