"""Operations on one object with the lines that tell of them, and the few that contradict each other."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

import msgspec

from orchestrix_raft.history.gathered import NEVER
from orchestrix_raft.history.records import Line
from orchestrix_raft.history.search import Answer, Found, Looks, Op, Search, Step, every_one_matters

State = TypeVar("State", bound=Hashable)


class Entry(msgspec.Struct, frozen=True):
    """An operation on an object."""

    op: Op
    lines: tuple[Line, ...]
    effect: bool  # it may have changed the object: without it others make no sense


def search_entries(
    entries: Sequence[Entry],
    first: State,
    step: Step[State],
    steps_max: int,
    looks: Looks[State] = every_one_matters,
) -> Found:
    """An order that explains them all."""
    return Search([entry.op for entry in entries], [first], step, steps_max, looks).run()


def shortest(
    entries: Sequence[Entry],
    first: State,
    step: Step[State],
    steps_max: int,
    looks: Looks[State] = every_one_matters,
) -> list[Entry]:
    """Of operations without an order: the shortest beginning that has none, without those that do not matter
    for that.  What was under way at its end counts as unknown, what began later is left out."""

    def contradicts(some: Sequence[Entry]) -> bool:
        return search_entries(some, first, step, steps_max, looks).answer is Answer.NO

    ended = sorted(entries, key=lambda entry: (entry.op.ended, entry.op.invoked))
    kept = ended
    for length in range(1, len(ended) + 1):
        until = ended[length - 1].op.ended
        beginning = ended[:length] + [
            _open(entry) for entry in ended[length:] if entry.effect and entry.op.invoked <= until
        ]
        if contradicts(beginning):
            kept = beginning
            break
    for entry in sorted(kept, key=begun, reverse=True):
        less = [other for other in kept if other is not entry]
        if not (entry.effect and entry.op.required) and contradicts(less):
            kept = less
    return kept


def begun(entry: Entry) -> int:
    """When it was asked."""
    return entry.op.invoked


def _open(entry: Entry) -> Entry:
    """As it stood while it was under way."""
    what = entry.op.what._replace(word="") if "word" in entry.op.what._fields else entry.op.what
    op = entry.op._replace(what=what, ended=NEVER, required=False, to_index=0)
    return Entry(op, entry.lines, True)
