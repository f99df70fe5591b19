"""All checks of a history, and whether it is clean."""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from orchestrix_raft.history.completions import check_completions
from orchestrix_raft.history.gathered import History, gather
from orchestrix_raft.history.jobs import check_jobs
from orchestrix_raft.history.keys import check_keys
from orchestrix_raft.history.limits import check_limits
from orchestrix_raft.history.records import Line
from orchestrix_raft.history.search import STEPS_MAX
from orchestrix_raft.history.slots import check_slots
from orchestrix_raft.history.tokens import check_tokens
from orchestrix_raft.history.verdict import Verdict, Word

Check = Callable[[History], Verdict]


class Report(msgspec.Struct, frozen=True):
    """What became of every check."""

    lines: int
    processes: int
    operations: int
    executions: int
    events: int
    verdicts: tuple[Verdict, ...]

    @property
    def violated(self) -> bool:
        """Some check found a contradiction."""
        return any(verdict.word is Word.VIOLATION for verdict in self.verdicts)


def check(lines: Iterable[Line], steps_max: int = STEPS_MAX) -> Report:
    """Everything about a history; BadHistory if its lines do not make one.  steps_max: of the search for an
    order of the operations on one object."""
    return check_gathered(gather(lines), steps_max)


def check_gathered(history: History, steps_max: int = STEPS_MAX) -> Report:
    """The same, of one that was put together before."""
    verdicts = (
        check_jobs(history, steps_max),
        check_keys(history, steps_max),
        *(one(history) for one in _REST),
    )
    return Report(
        history.lines,
        len(history.headers),
        len(history.operations),
        sum(len(runs) for runs in history.executions.values()),
        len(history.events),
        verdicts,
    )


_REST: Final[tuple[Check, ...]] = (check_completions, check_tokens, check_slots, check_limits)
