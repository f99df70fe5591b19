"""What a check found, and how a history's lines are told to people."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from orchestrix_raft.history.records import (
    Ack,
    End,
    Event,
    FinalJob,
    Invoke,
    Line,
    Missing,
    Observed,
    Record,
    Return,
    Start,
)

LINES_SHOWN: Final = 12
VIOLATIONS_KEPT: Final = 10  # of one check; the rest are counted


class Word(StrEnum):
    """The verdict of a check."""

    OK = "ok"
    VIOLATION = "violation"
    UNDECIDED = "could not decide"


class Violation(msgspec.Struct, frozen=True):
    """A contradiction: what it is, and the few lines that show it."""

    what: str
    lines: tuple[str, ...]


class Verdict(msgspec.Struct, frozen=True):
    """Of one check."""

    check: str
    word: Word
    looked_at: int  # objects of the check: jobs, keys, tokens, slots, assignments
    violations: tuple[Violation, ...] = ()
    more: int = 0  # violations beyond those
    undecided: tuple[str, ...] = ()  # why


class Findings:
    """A verdict in the making."""

    def __init__(self, check: str) -> None:
        self.looked_at = 0
        self._check = check
        self._violations: list[Violation] = []
        self._more = 0
        self._undecided: dict[str, int] = {}

    def violation(self, what: str, lines: Iterable[Line] = ()) -> None:
        """A contradiction."""
        if len(self._violations) == VIOLATIONS_KEPT:
            self._more += 1
            return
        self._violations.append(Violation(what, tuple(told(line) for line in shown(list(lines)))))

    def undecided(self, why: str) -> None:
        """Something that cannot be said either way."""
        self._undecided[why] = self._undecided.get(why, 0) + 1

    def verdict(self) -> Verdict:
        """Violations outrank what could not be decided."""
        word = Word.VIOLATION if self._violations else Word.UNDECIDED if self._undecided else Word.OK
        why = tuple(why if count == 1 else f"{why} ({count} times)" for why, count in self._undecided.items())
        return Verdict(self._check, word, self.looked_at, tuple(self._violations), self._more, why)


def shown(lines: Sequence[Line]) -> Sequence[Line]:
    """The last ones, if there are too many."""
    return lines[-LINES_SHOWN:]


def told(line: Line) -> str:
    """One line of a history for a reader."""
    return f"{line.where}: {_words(line.record)}"


def _words(record: Record) -> str:
    match record:
        case Invoke():
            return f"{_when(record.p, record.t)} asks {_asked(record)}"
        case Return():
            return f"{_when(record.p, record.t)} is told {_answer(record)}"
        case Start():
            times = f"attempt {record.attempt}, token {record.token}"
            return f"{_when(record.p, record.t)} starts job {record.job} ({times})"
        case End():
            return (
                f"{_when(record.p, record.t)} ended job {record.job}, token {record.token}: {record.outcome}"
            )
        case Ack():
            word = "accepted" if record.accepted else "refused"
            return f"{_when(record.p, record.t)}: the report of token {record.token} was {word}"
        case Event():
            about = f" job {record.job}" if record.job else ""
            details = " ".join(f"{name}={value}" for name, value in record.d.items() if not _long(value))
            when = f" at {record.elapsed_ms} ms" if record.elapsed_ms >= 0 else ""
            return f"event {record.index}.{record.ordinal}{when} {record.kind}{about} {details}".rstrip()
        case FinalJob():
            attempts = ", ".join(f"{a.attempt} (token {a.token}) {a.state}" for a in record.attempts)
            stands = f"at the end job {record.id} is {record.state}, token {record.token}"
            return f"{stands}; attempts: {attempts or '-'}"
        case Missing():
            return f"at the end there is no job {record.id}"
        case Observed():
            return "the final observation ends"
        case _:
            return f"process {record.p} begins ({record.role} {record.name})"


def _when(process: str, t: int) -> str:
    return f"{t / 1e9:.6f} {process}"


def _asked(record: Invoke) -> str:
    about = [f"job {job.id}" + (f" key {job.unique_key!r}" if job.unique_key else "") for job in record.jobs]
    if record.job:
        about.append(f"job {record.job}")
    if record.schedule:
        about.append(f"schedule {record.schedule}")
    if record.states:
        about.append("/".join(record.states))
    few = ", ".join(about[:3]) + (f" and {len(about) - 3} more" if len(about) > 3 else "")
    return f"[{record.n}] {record.op} {few}".rstrip()


def _answer(record: Return) -> str:
    parts = [record.word, f"token {record.token}" if record.token else ""]
    for placed in record.placed[:3]:
        new = {True: "created", False: "there already", None: "there"}[placed.created]
        parts.append(f"refused: {placed.refused}" if placed.refused else f"{placed.id} {new}")
    if len(record.placed) > 3:
        parts.append(f"and {len(record.placed) - 3} more")
    parts += [record.reason, f"index {record.index}" if record.index else ""]
    return f"[{record.n}] {record.outcome}: {', '.join(part for part in parts if part)}".rstrip(": ")


def _long(value: object) -> bool:
    return isinstance(value, dict | list) or len(str(value)) > 60
