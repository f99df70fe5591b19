"""What happened in a run, for a reader who looks for a bug: when, who, what, in plain words.

Names are short and stay the same: jobs are j1, j2 in the order in which the cluster took them, sessions are
called after their workers.  What repeats by itself (timers, bounds, the books of retention) is left out.
"""

import re
from typing import Final, NamedTuple

import msgspec

from orchestrix_raft.coordinator.port import Done, Outcome
from orchestrix_raft.machine.commands import Asked, Command, Enqueue, PutSchedule
from orchestrix_raft.machine.events import (
    Audited,
    AuditForgotten,
    ContentsMarked,
    Event,
    IdForgotten,
    JobEnqueued,
    JobProgressed,
    JobStarted,
    KeysSwept,
    OldestKept,
    QueueConfigured,
    ScheduleAdvanced,
    SchedulePut,
    SessionAttached,
    TimerSetAside,
    UniqueWindowEnded,
    WindowPassed,
)

FAULT: Final = "!"
LEADS: Final = "*"
LOG: Final = "="
ASKS: Final = "?"
OTHER: Final = " "

LEGEND: Final = (
    "time in seconds; who; what.  n: node, w: worker, c: client, o: owner of schedules, or operator\n"
    f"{FAULT} a fault   {LEADS} a leader   {LOG} an entry of the log, when the first node applies it"
    f"   {ASKS} what a client asks and is told\n"
)

_LEFT_OUT: Final = (
    TimerSetAside,
    WindowPassed,
    KeysSwept,
    UniqueWindowEnded,
    OldestKept,
    IdForgotten,
    ScheduleAdvanced,
    Audited,
    AuditForgotten,
    ContentsMarked,
    JobProgressed,
    JobStarted,
)
_EMPTY: Final[tuple[object, ...]] = (None, "", b"", (), {}, [])
_NAMED: Final = ("schedule_id", "node_id", "name", "change")
_FIELDS: Final = (
    ("state", ""),
    ("schedule_id", ""),
    ("to", "to "),
    ("node_id", "at "),
    ("health", ""),
    ("error", "error "),
    ("reason", "because "),
)
"""Of any event, with the word before it."""
_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")
_TOLD_AT_ONCE: Final = 12
"""Of one kind in one entry; the others are counted."""


class Line(NamedTuple):
    """One thing that happened."""

    at_s: float
    mark: str
    who: str
    what: str


class Story:
    """Of one run."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._jobs: dict[bytes, str] = {}
        self._sessions: dict[bytes, str] = {}

    def tell(self, at_s: float, mark: str, line: str) -> None:
        """The first word of the line says who."""
        who, _, what = line.partition(" ")
        self.lines.append(Line(at_s, mark, who.rstrip(":"), what))

    def job(self, job_id: bytes) -> str:
        """Its short name."""
        return self._jobs.setdefault(job_id, f"j{len(self._jobs) + 1}")

    def session(self, session_id: bytes) -> str:
        """Whose it is."""
        return self._sessions.get(session_id, session_id.hex()[:6])

    def entry(self, at_s: float, node: str, index: int, term: int, events: list[Event]) -> None:
        """An entry was applied for the first time."""
        kinds: dict[str, list[str]] = {}
        for event in events:
            if isinstance(event, SessionAttached):
                self._sessions[event.session_id] = event.name
            if not isinstance(event, _LEFT_OUT):
                words = _WORD.sub(" ", type(event).__name__).lower()
                kinds.setdefault(words, []).append(self._about(event))
        if kinds:
            what = "; ".join(f"{words} {_some(about)}".rstrip() for words, about in kinds.items())
            self.lines.append(Line(at_s, LOG, node, f"entry {index} of term {term}: {what}"))

    def command(self, command: Command) -> str:
        """What is asked for, with the names of its jobs."""
        asked = command.command if isinstance(command, Asked) else command
        jobs: list[bytes] = [spec.job_id for spec in asked.jobs] if isinstance(asked, Enqueue) else []
        jobs += getattr(asked, "job_ids", ())
        names = [self.job(job_id) for job_id in jobs]
        names += [asked.spec.schedule_id] if isinstance(asked, PutSchedule) else []
        names += [self.plain(getattr(asked, field)) for field in _NAMED if hasattr(asked, field)]
        return " ".join([in_words(command), *names])

    def answer(self, outcome: Outcome) -> str:
        """Done, not applied or unknown, in one line."""
        if isinstance(outcome, Done):
            return f"done at entry {outcome.index}: {self.plain(outcome.result)}"
        return self.plain(outcome)

    def plain(self, value: object) -> str:
        """A value without what is empty in it."""
        match value:
            case msgspec.Struct():
                fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
            case tuple() if hasattr(value, "_asdict"):
                fields = iter(value._asdict().items())
            case dict():
                return "{" + ", ".join(f"{self.plain(k)}: {self.plain(v)}" for k, v in value.items()) + "}"
            case tuple() | list():
                return " ".join(map(self.plain, value))
            case bytes():
                return self._jobs.get(value, value.hex()[:8])
            case _:
                return str(getattr(value, "word", value))
        told = ", ".join(f"{name} {self.plain(one)}" for name, one in fields if one not in _EMPTY)
        name = _WORD.sub(" ", type(value).__name__.removesuffix("Result")).lower()
        return f"{name} ({told})" if told else name

    def _about(self, event: Event) -> str:
        """What a reader needs to follow one job, worker or node."""
        found = []
        if isinstance(event, JobEnqueued):
            found.append(f"{self.job(event.spec.job_id)} in queue {event.spec.queue}")
        if isinstance(event, QueueConfigured):
            found.append(f"{event.name} {self.plain(event.options)}")
        if isinstance(event, SchedulePut):
            found.append(event.spec.schedule_id)
        job_id, session_id = getattr(event, "job_id", b""), getattr(event, "session_id", b"")
        if job_id:
            found.append(self.job(job_id))
        if session_id:
            found.append(f"on {self.session(session_id)}")
        token = getattr(event, "token", 0)
        if token:
            found.append(f"token {token}")
        for name, before in _FIELDS:
            value = getattr(event, name, "")
            if value:
                found.append(before + self.plain(value))
        return " ".join(found)

    def text(self) -> str:
        """All of it, aligned, with what the marks mean."""
        width = max((len(line.who) for line in self.lines), default=0)
        rows = (f"{at_s:9.3f} {mark} {who:<{width}}  {what}" for at_s, mark, who, what in self.lines)
        return "\n".join([LEGEND, *rows])


def in_words(command: Command) -> str:
    """What it asks for: `cancel jobs`."""
    asked = command.command if isinstance(command, Asked) else command
    return _WORD.sub(" ", type(asked).__name__).lower()


def _some(several: list[str]) -> str:
    told = ", ".join(one for one in several[:_TOLD_AT_ONCE] if one)
    more = len(several) - _TOLD_AT_ONCE
    return f"{told} and {more} more" if more > 0 else told
