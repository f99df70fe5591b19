"""What a seed decides, cut into steps that can be left out one at a time.

A step is one fault, or one thing that a client or an operator does.  The steps of a family ("crash", "c1")
come at times that the family draws from a stream of chance of its own, and every step draws all else from
its own stream.  So leaving a step out changes nothing of what the other steps are; what follows from it of
course differs.  `Cut` says what of a seed is left, in one line that a person can type.
"""

from collections.abc import Iterable, Mapping
from random import Random
from typing import Final, NamedTuple

ALL_NODES: Final = 0
FAULTS_UNTIL_S: Final = 50.0

StepName = tuple[str, int]
"""Family, number: from 1 on in the order of their times."""


class Step(NamedTuple):
    """One that was taken."""

    family: str
    number: int
    at_s: float
    what: str


class BadCut(ValueError):
    """A cut that cannot be read."""


class Cut(NamedTuple):
    """What is left of a seed.  As text: `crash:1,4 c1:2-7 nodes=3 workers=1 until=20 plain`.

    `steps`: None for all, else the families that have steps left, with their numbers.  `nodes`, `workers`:
    how many machines there are (0: as many as the seed says).  `jobs`: in one call to enqueue (0: as the
    seed says).  `changes`: of members, the first ones of the mix's plan (-1: all).  `until`: no steps after
    these seconds.  `plain`: no slow messages, no wrong clocks."""

    steps: Mapping[str, frozenset[int]] | None = None
    nodes: int = ALL_NODES
    workers: int = 0
    jobs: int = 0
    changes: int = -1
    until: float = FAULTS_UNTIL_S
    plain: bool = False

    def keeps(self, family: str, number: int) -> bool:
        """Whether this step is left."""
        return self.steps is None or number in self.steps.get(family, ())

    def only(self, names: Iterable[StepName]) -> "Cut":
        """With these steps alone."""
        steps: dict[str, set[int]] = {}
        for family, number in names:
            steps.setdefault(family, set()).add(number)
        return self._replace(steps={family: frozenset(numbers) for family, numbers in steps.items()})

    def text(self) -> str:
        """As one types it; "" for a whole seed."""
        parts = []
        if self.steps is not None:
            parts = [f"{family}:{_ranges(self.steps[family])}" for family in sorted(self.steps)] or ["none"]
        for name in _NUMBERS:
            value = getattr(self, name)
            if value != getattr(WHOLE, name):
                parts.append(f"{name}={value:g}")
        return " ".join([*parts, *(["plain"] if self.plain else [])])


WHOLE: Final = Cut()
_NUMBERS: Final = ("nodes", "workers", "jobs", "changes", "until")


def read_cut(text: str) -> Cut:
    """The reverse of `Cut.text`; BadCut says what is wrong with it."""
    steps: dict[str, frozenset[int]] = {}
    cut, some = WHOLE, False
    for part in text.split():
        name, colon, numbers = part.partition(":")
        option, equals, value = part.partition("=")
        try:
            if colon:
                steps[name], some = _numbers(numbers), True
            elif part == "none":
                some = True
            elif part == "plain":
                cut = cut._replace(plain=True)
            elif equals and option == "until":
                cut = cut._replace(until=float(value))
            elif equals and option in _NUMBERS:
                cut = Cut(**{**cut._asdict(), option: int(value)})
            else:
                raise ValueError(part)
        except ValueError as error:
            raise BadCut(f"{part!r} is no part of a cut; one looks like: crash:1,4 c1:2-7 nodes=3") from error
    return cut._replace(steps=steps) if some else cut


def _numbers(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        found.update(range(int(first), int(last if dash else first) + 1))
    return frozenset(found)


def _ranges(numbers: Iterable[int]) -> str:
    """1,4-7"""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


class Steps:
    """Of one run: which are taken, and what they draw from."""

    def __init__(self, seed: int, cut: Cut) -> None:
        self.cut = cut
        self.taken: list[Step] = []
        self._seed = seed
        self._counts: dict[str, int] = {}

    def next(self, family: str, now_s: float) -> Random | None:
        """The chance of the family's next step, to be taken now; None if it is left out."""
        number = self._counts[family] = self._counts.get(family, 0) + 1
        if now_s > self.cut.until or not self.cut.keeps(family, number):
            return None
        self.taken.append(Step(family, number, now_s, ""))
        return stream(self._seed, f"{family}:{number}")

    def describe(self, what: str) -> None:
        """In words, what the newest step does."""
        last = self.taken[-1]
        self.taken[-1] = last._replace(what=f"{last.what}, {what}" if last.what else what)


def stream(seed: int, name: str) -> Random:
    """Chance that depends on the seed and this name, and on nothing that was drawn before."""
    return Random(f"{seed} {name}")
