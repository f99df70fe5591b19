"""The choices that a schedule leaves to its owner, as values.

What each choice does to a calendar is computed in `timetable`; what it does to jobs, in the state machine.
"""

from enum import IntEnum
from typing import TypeVar


class _Choice(IntEnum):
    @property
    def word(self) -> str:
        """The lower-case word used in JSON, Python, the command line and docs."""
        return self.name.lower()


class Misfire(_Choice):
    """What becomes of slots that passed while nobody could fire them."""

    LATEST = 1  # one run, for the latest of them; it carries how many there were
    SKIP = 2
    ALL = 3  # each of them, oldest first


class Overlap(_Choice):
    """What becomes of a slot while a run of the same schedule is still active."""

    SKIP = 1
    ALLOW = 2
    BUFFER_ONE = 3
    BUFFER_ALL = 4
    CANCEL_RUNNING = 5


class DstGap(_Choice):
    """What becomes of a fixed local time that clocks jump over."""

    SHIFT = 1  # to the first instant after the gap, where it merges with a run that is there already
    SKIP = 2


class DstOverlap(_Choice):
    """Which occurrence of a fixed local time counts when clocks show it more than once."""

    FIRST = 1
    LAST = 2
    BOTH = 3  # every occurrence


AnyChoice = TypeVar("AnyChoice", bound=_Choice)


def parse_choice(kind: type[AnyChoice], text: str) -> AnyChoice:
    """The member of `kind` that `text` names; ValueError with the allowed words."""
    for choice in kind:
        if choice.word == text:
            return choice
    raise ValueError(f"no such choice: {text[:40]!r} (there are {', '.join(one.word for one in kind)})")
