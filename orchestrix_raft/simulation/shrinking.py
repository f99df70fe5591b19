"""A failing seed, made short: as few steps, machines and seconds as still break the same promise.

Every step of a seed can be left out without changing what the others are (see `steps`), so this is delta
debugging: leave out whole families, then halves, quarters and single steps, and keep what still fails in
the same way.  It promises no smallest trace, only that each single step of what is left was tried without.
"""

import re
import traceback
from collections.abc import Callable
from typing import Final, NamedTuple

from orchestrix_raft.simulation.checks import Violation, broken_promise
from orchestrix_raft.simulation.run import Run
from orchestrix_raft.simulation.steps import WHOLE, Cut, Step, StepName

RUNS_MAX: Final = 500
_LATER_S: Final = 10.0
"""So much later than at first the promise may break in a shorter run; who waits longer waits in vain."""
_KIND_WORDS: Final = 6


class Stopped(Exception):
    """The run was not let go on."""


class Failure(NamedTuple):
    """How a run failed."""

    kind: str  # the same for what is likely the same bug
    message: str
    at_s: float
    steps: tuple[Step, ...]  # taken until then


class Shrunk(NamedTuple):
    """`cut` is what is left of the seed; `first` how the whole of it failed, `last` how that does."""

    cut: Cut
    first: Failure
    last: Failure
    runs: int


def kind_of(error: Exception) -> str:
    """What broke, without the names and numbers of this run.  A broken promise that a node took for a fault
    of its own is that promise."""
    error = broken_promise(error) or error
    text = re.sub(r"^seed \d+( at [\d.]+ s)?: ", "", str(error))
    plain = re.sub(r"b'[^']*'|b\"[^\"]*\"|\b([nwc]\d+|[0-9a-f-]{8,}|[\d.]+)\b", "#", text)
    words = " ".join(plain.split()[:_KIND_WORDS])
    if isinstance(error, Violation):
        return words
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {where.name}: {words}"


def fails(seed: int, mix: str, cut: Cut = WHOLE, stop_s: float = 0.0) -> Failure | None:
    """Run what the cut leaves; None if no promise breaks, or not within `stop_s` (0: however long)."""
    run: Run | None = None

    def stop() -> None:
        raise Stopped

    try:
        run = Run(seed, mix, cut=cut)
        if stop_s:
            run.world.after(stop_s, stop)
        run.go()
    except Stopped:
        return None
    except Exception as error:
        # of any kind: what breaks is what is looked for
        at_s, taken = (run.world.now, tuple(run.world.steps.taken)) if run else (0.0, ())
        return Failure(kind_of(error), str(broken_promise(error) or error), at_s, taken)
    return None


class Shrinker:
    """Of one failing seed.  `tell` is told of progress, one line at a time."""

    def __init__(self, seed: int, mix: str, tell: Callable[[str], None], runs_max: int = RUNS_MAX) -> None:
        self.runs = 0
        self._seed, self._mix = seed, mix
        self._tell = tell
        self._runs_max = runs_max
        self._cut = WHOLE
        self._last: Failure | None = None
        self._kind = ""
        self._stop_s = 0.0

    def shrink(self, cut: Cut = WHOLE) -> Shrunk | None:
        """None if the seed does not fail."""
        self._cut = cut
        first = self._last = fails(self._seed, self._mix, cut)
        if first is None:
            return None
        self._kind = first.kind
        during = first.at_s <= cut.until
        self._stop_s = first.at_s + _LATER_S if during else 0.0
        self._tell(f"{len(first.steps)} steps: {first.message}")
        if during:
            self._try(self._cut._replace(until=float(int(first.at_s) + 1)))
        self._try(self._cut.only(self._names()))
        before = -1
        while before != (before := self._size()):
            self._leave_out_families()
            self._make_plain()
            self._leave_out_steps()
        self._end_early()
        assert self._last is not None
        return Shrunk(self._cut, first, self._last, self.runs)

    # ---- one attempt ---------------------------------------------------------------------------------

    def _names(self) -> list[StepName]:
        """Of the steps that the newest failing run took."""
        assert self._last is not None
        return [(step.family, step.number) for step in self._last.steps]

    def _size(self) -> int:
        return len(self._names())

    def _try(self, cut: Cut) -> bool:
        """Whether this fails in the same way; then it is what is left."""
        if self.runs >= self._runs_max or cut == self._cut:
            return False
        self.runs += 1
        failure = fails(self._seed, self._mix, cut, self._stop_s)
        if failure is None or failure.kind != self._kind:
            return False
        self._cut, self._last = cut, failure
        self._tell(f"{len(failure.steps)} steps after {self.runs} runs")
        return True

    # ---- what is tried -------------------------------------------------------------------------------

    def _leave_out_families(self) -> None:
        """The most frequent first."""
        names = self._names()
        families = [family for family, _ in names]
        for family in sorted(set(families), key=lambda one: (-families.count(one), one)):
            self._try(self._cut.only(name for name in self._names() if name[0] != family))

    def _make_plain(self) -> None:
        cut = self._cut
        self._try(cut._replace(plain=True))
        for workers in (1, 2, 3):
            if not cut.workers and self._try(self._cut._replace(workers=workers)):
                break
        for nodes in (1, 2, 3):
            if not cut.nodes and self._try(self._cut._replace(nodes=nodes)):
                break
        if not cut.jobs:
            self._try(self._cut._replace(jobs=1))
        if cut.changes < 0:
            for changes in (0, 1, 3, 5):
                if self._try(self._cut._replace(changes=changes)):
                    break

    def _leave_out_steps(self) -> None:
        """Halves, quarters, and so on, down to single steps; the latest first."""
        size = max(1, self._size() // 2)
        while True:
            end = self._size()
            while end > 0:
                names = self._names()
                end = min(end, len(names))
                self._try(self._cut.only(names[: max(0, end - size)] + names[end:]))
                end -= size
            if size == 1:
                return
            size = max(1, size // 2)

    def _end_early(self) -> None:
        """No time is needed after the last step."""
        assert self._last is not None
        last_s = max((step.at_s for step in self._last.steps), default=0.0)
        self._try(self._cut._replace(until=float(int(last_s) + 1)))
