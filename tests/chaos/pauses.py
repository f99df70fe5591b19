"""How long no job was started, and how much of that no fault explains."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

RECOVERY_S: Final = 5.0
"""From the moment at which a majority and a worker are well again until jobs must be started: elections,
reconnecting, sessions that move."""


class Pauses(NamedTuple):
    """Seconds."""

    longest_s: float
    unexplained_s: float  # the longest part of one in which jobs must have been started
    well_s: float  # in which they must, altogether


def pauses(
    starts: Sequence[float], begin_s: float, end_s: float, works: Iterable[tuple[float, bool]]
) -> Pauses:
    """Between `begin_s` and `end_s`, under constant load.

    starts: moments at which a job was started.  works: (when, whether a majority and a worker were well from
    then on), in order.
    """
    inside = sorted(at_s for at_s in starts if begin_s <= at_s <= end_s)
    edges = [begin_s, *inside, end_s]
    gaps = list(pairwise(edges))
    longest_s = max(end - begin for begin, end in gaps)
    must = [(since, until) for since, until in _must_work(works, end_s) if since < until]
    unexplained_s = max(
        (min(end, until) - max(begin, since) for begin, end in gaps for since, until in must), default=0.0
    )
    well_s = sum(until - since for since, until in must)
    return Pauses(longest_s, max(0.0, unexplained_s), well_s)


def _must_work(works: Iterable[tuple[float, bool]], end_s: float) -> Iterator[tuple[float, float]]:
    """(since, until) in which jobs must be started."""
    since: float | None = None
    for at_s, good in works:
        if since is not None and not good:
            yield since + RECOVERY_S, at_s
        since = at_s if good else None
    if since is not None:
        yield since + RECOVERY_S, end_s
