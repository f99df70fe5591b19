"""The life of one job as clients may see it: which answers are possible after which.

What the cluster does by itself (a job becomes ready, is assigned, ends, is forgotten) happens between the
operations and is followed only as far as answers show it.  The moves are those of `domain.job.LIFE_CYCLE`; a
second, independent account of the rules of enqueue, cancel, retry and purge.
"""

import functools
from collections.abc import Iterator
from typing import Final, NamedTuple

from orchestrix_raft.domain.job import JobState

ABSENT: Final = "absent"
GONE: Final = "gone"  # forgotten; its id stays known
NOT_FOUND: Final = "not_found"

SCHEDULED, PENDING, DISPATCHED, RUNNING, COMPLETED, CANCELLED, DEAD = (state.word for state in JobState)
WAITING: Final = (SCHEDULED, PENDING)
ACTIVE: Final = (DISPATCHED, RUNNING)
ENDED: Final = (COMPLETED, CANCELLED, DEAD)


class At(NamedTuple):
    """Where a job stands.  `token`: of its newest assignment if `exact`, else a lower bound."""

    phase: str
    stopping: bool = False  # it runs and was asked to stop because it was cancelled
    token: int = 0
    exact: bool = True


class Freedom(NamedTuple):
    """What may become of the job without any recorded client."""

    cancels: bool = False  # it expires, or another job may replace it, or its schedule ends it
    forgotten: bool = False  # an ended job may be forgotten


class Asked(NamedTuple):
    """One operation on the job.  op: enqueue, read, cancel, retry, purge, or one of those on a filter."""

    op: str
    word: str = ""  # the answer; of enqueue: created, either, other, refused; "": unknown
    token: int = -1  # reads: what they saw; -1: not told
    later: bool = False  # enqueue: with a delay or a time
    states: tuple[str, ...] = ()  # filter


_MOVES: Final = {
    SCHEDULED: (PENDING,),
    PENDING: (DISPATCHED, DEAD),
    DISPATCHED: (RUNNING, COMPLETED, DEAD, SCHEDULED, PENDING),
    RUNNING: (COMPLETED, DEAD, SCHEDULED, PENDING),
}
_MOVES_STOPPING: Final = {
    DISPATCHED: (RUNNING, COMPLETED, CANCELLED, DEAD),
    RUNNING: (COMPLETED, CANCELLED, DEAD),
}

_Spot = tuple[str, bool]  # phase, stopping


def _next(spot: _Spot, freedom: Freedom) -> Iterator[_Spot]:
    """One move of the cluster's own."""
    phase, stopping = spot
    if stopping:
        for follows in _MOVES_STOPPING[phase]:
            yield follows, follows in ACTIVE
        return
    for follows in _MOVES.get(phase, ()):
        yield follows, False
    if freedom.cancels and phase in WAITING:
        yield CANCELLED, False
    if freedom.cancels and phase in ACTIVE:
        yield phase, True
    if freedom.forgotten and phase in ENDED:
        yield GONE, False


@functools.cache
def _reachable(spot: _Spot, freedom: Freedom) -> tuple[tuple[_Spot, bool], ...]:
    """(place, whether a new assignment lies on the way) of every place that the cluster can bring it to."""
    found: dict[tuple[_Spot, bool], None] = {(spot, False): None}
    waiting = [(spot, False)]
    while waiting:
        here, assigned = waiting.pop()
        for there in _next(here, freedom):
            place = (there, assigned or (there[0] == DISPATCHED and here[0] == PENDING))
            if place not in found:
                found[place] = None
                waiting.append(place)
    return tuple(found)


def become(at: At, phases: tuple[str, ...], freedom: Freedom, token: int = -1) -> list[At]:
    """Every way in which the job can be in one of these phases now; with this token, if it was seen."""
    found: dict[At, None] = {}
    for (phase, stopping), assigned in _reachable((at.phase, at.stopping), freedom):
        if phase not in phases:
            continue
        if not assigned:
            if token < 0:
                found[at._replace(phase=phase, stopping=stopping)] = None
            elif token == at.token or (token > at.token and not at.exact):
                found[At(phase, stopping, token)] = None
        elif token < 0:
            found[At(phase, stopping, at.token + 1, False)] = None
        elif token > at.token:
            found[At(phase, stopping, token)] = None
    return list(found)


def step(at: At, asked: Asked, freedom: Freedom) -> list[At]:
    """The states after an operation with this answer; none: it cannot be."""
    return _STEPS[asked.op](at, asked, freedom)


def looks(at: At, asked: Asked) -> bool:
    """Whether the answer only tells where the job stands, which it may have come to by itself
    (`search.Looks`).  That a job was retried is more than that, even where it waits before and after."""
    match asked.op:
        case "read":
            return True
        case "enqueue":
            return asked.word in ("other", "refused") or (asked.word == "either" and at.phase != ABSENT)
        case "cancel" | "retry" | "purge":
            return asked.word == NOT_FOUND or asked.word.startswith(("already_", "still_"))
        case _:
            return False


def _enqueue(at: At, asked: Asked, freedom: Freedom) -> list[At]:
    fresh = [At(SCHEDULED), At(PENDING)] if asked.later else [At(PENDING)]
    absent = at.phase == ABSENT
    match asked.word:
        case "created":
            return fresh if absent else []
        case "either":
            return fresh if absent else [at]
        case "other":  # another job has its unique key
            return [at] if absent else []
        case "refused":
            return [at]
        case _:
            return [at, *fresh] if absent else [at]


def _read(at: At, asked: Asked, freedom: Freedom) -> list[At]:
    if asked.word == NOT_FOUND:
        return [at] if at.phase == ABSENT else become(at, (GONE,), freedom)
    return become(at, (asked.word,), freedom, asked.token)


def _cancelled(at: At, freedom: Freedom) -> list[At]:
    return [here._replace(phase=CANCELLED) for here in become(at, WAITING, freedom)]


def _requested(at: At, freedom: Freedom) -> list[At]:
    return [here._replace(stopping=True) for here in become(at, ACTIVE, freedom)]


def _cancel(at: At, asked: Asked, freedom: Freedom) -> list[At]:
    match asked.word:
        case "cancelled":
            return _cancelled(at, freedom)
        case "requested":
            return _requested(at, freedom)
        case "":
            return [at, *_cancelled(at, freedom), *_requested(at, freedom)]
        case word:
            return _stands(at, word.removeprefix("already_"), freedom)


def _retried(at: At, freedom: Freedom) -> list[At]:
    before = become(at, (SCHEDULED, CANCELLED, DEAD), freedom)
    return list(dict.fromkeys(here._replace(phase=PENDING) for here in before))


def _retry(at: At, asked: Asked, freedom: Freedom) -> list[At]:
    match asked.word:
        case "retried":
            return _retried(at, freedom)
        case "unique_conflict" | "live_jobs_limit":
            return become(at, (CANCELLED, DEAD), freedom)
        case "":
            return [at, *_retried(at, freedom)]
        case word:
            return _stands(at, word.removeprefix("already_"), freedom)


def _purged(at: At, freedom: Freedom) -> list[At]:
    return [here._replace(phase=GONE) for here in become(at, ENDED, freedom)]


def _purge(at: At, asked: Asked, freedom: Freedom) -> list[At]:
    match asked.word:
        case "purged":
            return _purged(at, freedom)
        case "":
            return [at, *_purged(at, freedom)]
        case word:
            return _stands(at, word.removeprefix("still_"), freedom)


def _stands(at: At, word: str, freedom: Freedom) -> list[At]:
    """The answer says only where it stands."""
    if word == NOT_FOUND:
        return [at] if at.phase == ABSENT else become(at, (GONE,), freedom)
    return become(at, (word,), freedom)


def _cancel_where(at: At, asked: Asked, freedom: Freedom) -> list[At]:
    """It may have met the job, or not: the filter also has an age, and the walk takes its time."""
    wanted = asked.states or WAITING
    waiting = tuple(phase for phase in WAITING if phase in wanted)
    active = tuple(phase for phase in ACTIVE if phase in wanted)
    met = [here._replace(phase=CANCELLED) for here in become(at, waiting, freedom)]
    return [at, *met, *(here._replace(stopping=True) for here in become(at, active, freedom))]


def _retry_where(at: At, asked: Asked, freedom: Freedom) -> list[At]:
    wanted = tuple(
        phase for phase in (SCHEDULED, CANCELLED, DEAD) if not asked.states or phase in asked.states
    )
    return [at, *(here._replace(phase=PENDING) for here in become(at, wanted, freedom))]


def _purge_where(at: At, asked: Asked, freedom: Freedom) -> list[At]:
    wanted = tuple(phase for phase in ENDED if not asked.states or phase in asked.states)
    return [at, *(here._replace(phase=GONE) for here in become(at, wanted, freedom))]


_STEPS: Final = {
    "enqueue": _enqueue,
    "read": _read,
    "cancel": _cancel,
    "retry": _retry,
    "purge": _purge,
    "cancel_where": _cancel_where,
    "retry_where": _retry_where,
    "purge_where": _purge_where,
}
