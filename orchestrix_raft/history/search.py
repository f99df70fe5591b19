"""Linearizability of one object: is there an order of its operations that explains every answer?

The search of Wing and Gong with Lowe's memory: take any operation that may come first, let the model say
which states it can lead to, go on with the rest; what was tried (which operations are done, in which state)
is never tried again.  Which may come first is a partial order: real time within one clock, log indexes beyond
it.  An operation that need not have happened (its outcome is unknown) may be left out.

J. M. Wing, C. Gong: Testing and verifying concurrent objects (1993).  G. Lowe: Testing for linearizability
(2017).
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import Enum
from typing import Any, Final, Generic, NamedTuple, TypeVar

State = TypeVar("State", bound=Hashable)

STEPS_MAX: Final = 200_000
OPERATIONS_MAX: Final = 4_000  # of one object: the order is a table of their pairs


class Op(NamedTuple):
    """One operation on the object.  What it asked and was told is the model's affair."""

    what: Any
    invoked: int  # ns
    ended: int  # ns; gathered.NEVER: not known to have ended
    clock: str
    required: bool = True  # False: it may never have happened
    from_index: int = 0  # it saw at least the state after this log index; 0: not known
    to_index: int = 0  # it took effect by this log index; 0: not known
    local: bool = False  # a read that need not be newer than `from_index`, whatever ended before it


class Answer(Enum):
    """Of a search."""

    YES = "linearizable"
    NO = "not linearizable"
    GAVE_UP = "too many steps"


class Found(NamedTuple):
    """`deepest`: of the orders tried, the one that explained most operations; `stuck`: those that could have
    come next then, and could not be explained."""

    answer: Answer
    deepest: tuple[int, ...]
    stuck: tuple[int, ...]
    steps: int


Step = Callable[[State, Any], Iterable[State]]
"""The states to which an operation can lead; none: its answer is impossible there."""

Looks = Callable[[State, Any], bool]
"""Whether an operation only looks, in this state and in all that follow: it leads to nothing that the
object would not come to without it.  Where it may come next and can leave the state as it is, it is taken at
once: whatever order explains the rest with it later, explains it with it now."""


def every_one_matters(state: Hashable, what: Any) -> bool:
    """Every operation may matter."""
    return False


def precedes(a: Op, b: Op) -> bool:
    """Whether `a` must come before `b` in any order."""
    if a.clock == b.clock and a.ended < b.invoked and not b.local:
        return True
    if a.from_index == a.to_index == b.from_index == b.to_index:
        return False  # two reads of the same state
    return 0 < a.to_index <= b.from_index


class Search(Generic[State]):
    """Over the operations of one object."""

    def __init__(
        self,
        ops: Sequence[Op],
        first: Iterable[State],
        step: Step[State],
        steps_max: int = STEPS_MAX,
        looks: Looks[State] = every_one_matters,
    ):
        self._ops = ops
        self._first = list(first)
        self._step, self._looks = step, looks
        self._left = self._steps_max = steps_max
        self._needed = sum(1 << i for i, op in enumerate(ops) if op.required)

    def run(self) -> Found:
        """The answer."""
        if len(self._ops) > OPERATIONS_MAX:
            return Found(Answer.GAVE_UP, (), (), 0)
        before = self._predecessors()
        # required ones first, in the order in which they ended
        ranked = sorted(range(len(before)), key=lambda i: (not self._ops[i].required, self._ops[i].ended))
        deepest: tuple[int, ...] = ()
        stuck: tuple[int, ...] = ()
        seen: set[tuple[int, State]] = set()
        # An entry is a place in the search: done operations, the state, and the order that led there.
        waiting: list[tuple[int, State, tuple[int, ...]]] = [(0, state, ()) for state in self._first]
        while waiting:
            done, state, order = waiting.pop()
            if done & self._needed == self._needed:
                return Found(Answer.YES, order, (), self._used)
            if (done, state) in seen:
                continue
            seen.add((done, state))
            self._left -= 1
            if self._left <= 0:
                return Found(Answer.GAVE_UP, deepest, stuck, self._used)
            candidates = [i for i in ranked if not done >> i & 1 and before[i] & done == before[i]]
            if len(order) >= len(deepest):
                deepest, stuck = order, tuple(candidates)
            look = next((i for i in candidates if self._is_seen_here(state, self._ops[i])), None)
            if look is not None:
                waiting.append((done | 1 << look, state, (*order, look)))
                continue
            # The earliest first: it is taken from the end.
            for i in reversed(candidates):
                follows = [
                    (done | 1 << i, after, (*order, i)) for after in self._step(state, self._ops[i].what)
                ]
                waiting.extend(reversed(follows))
        return Found(Answer.NO, deepest, stuck, self._used)

    def _is_seen_here(self, state: State, op: Op) -> bool:
        return op.required and self._looks(state, op.what) and state in self._step(state, op.what)

    @property
    def _used(self) -> int:
        return self._steps_max - self._left

    def _predecessors(self) -> list[int]:
        """For each operation those that must be done before, as bits; one that need not happen is waited for
        by nobody."""
        ops = self._ops
        return [
            sum(1 << i for i, a in enumerate(ops) if a.required and i != j and precedes(a, b))
            for j, b in enumerate(ops)
        ]
