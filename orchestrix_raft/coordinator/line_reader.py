"""Reading a job's log from any node: asks every member in reach for what it keeps, and puts that together.

Who kept what changes with every owner and with every node that was down, so nobody remembers it: each keeper
answers for itself, and a line has the same place wherever it is kept.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from orchestrix_raft.coordinator.messages import LinesAnswer, LinesRequest
from orchestrix_raft.storage.port import LinePlace, LogLine

ANSWER_S: Final = 1.0  # a member that has not answered by then is named as silent
READS: Final = 1_000  # under way at once


class LogPage(NamedTuple):
    """Lines in the order of their places.  silent: members whose lines may be missing.  more: there are
    further lines behind them."""

    lines: list[LogLine]
    silent: tuple[str, ...] = ()
    more: bool = False


class Part(NamedTuple):
    """What one node keeps behind a place.  more: there are further lines behind them."""

    lines: list[LogLine]
    more: bool


OnPage = Callable[[LogPage], None]


class _Read:
    def __init__(self, own: Part, limit: int, until: float, done: OnPage) -> None:
        self.parts = [own]
        self.limit = limit
        self.until = until
        self.done = done
        self.awaited: set[str] = set()
        self.silent: set[str] = set()


class LineReader:
    """send: to a node."""

    def __init__(self, send: Callable[[str, LinesRequest], None]) -> None:
        self._send = send
        self._reads: dict[int, _Read] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._reads)

    def ask(
        self,
        own: Part,
        job_id: bytes,
        after: LinePlace,
        limit: int,
        members: Iterable[str],
        reachable: frozenset[str],
        now: float,
        done: OnPage,
    ) -> None:
        """`done` is called once: at once if nobody else can be asked, else when all have answered, are gone,
        or are late.  own: what this node keeps; members: the others."""
        self._number += 1
        number = self._number
        read = _Read(own, limit, now + ANSWER_S, done)
        for member in members:
            if member in reachable:
                read.awaited.add(member)
            else:
                read.silent.add(member)
        self._reads[number] = read
        for member in sorted(read.awaited):
            self._send(member, LinesRequest(number, job_id, *after, limit))
        self._end_if_complete(number, read)

    def answered(self, peer: str, answer: LinesAnswer) -> None:
        """A member told what it keeps."""
        read = self._reads.get(answer.number)
        if read is not None and peer in read.awaited:
            read.awaited.discard(peer)
            read.parts.append(Part([LogLine(*line) for line in answer.lines], answer.more))
            self._end_if_complete(answer.number, read)

    def lost(self, peer: str) -> None:
        """The connection to a member is gone."""
        for number, read in list(self._reads.items()):
            if peer in read.awaited:
                read.awaited.discard(peer)
                read.silent.add(peer)
                self._end_if_complete(number, read)

    def expire(self, now: float) -> None:
        """Whoever has not answered by now is silent."""
        while self._reads:
            number, read = next(iter(self._reads.items()))  # the oldest
            if read.until > now:
                return
            read.silent |= read.awaited
            read.awaited.clear()
            self._end_if_complete(number, read)

    def fail_all(self) -> None:
        """The node stops: answer with what there is."""
        self.expire(float("inf"))

    def _end_if_complete(self, number: int, read: _Read) -> None:
        if not read.awaited:
            del self._reads[number]
            lines, more = merged(read.parts, read.limit)
            read.done(LogPage(lines, tuple(sorted(read.silent)), more))


def merged(parts: list[Part], limit: int) -> Part:
    """The lines of several keepers in order, each once, at most `limit`; none behind the end of a part that
    has more, because others may come before it."""
    lines = {line.place: line for part in parts for line in part.lines}
    ends = [part.lines[-1].place for part in parts if part.more and part.lines]
    end = min(ends, default=None)
    known = [lines[place] for place in sorted(lines) if end is None or place <= end]
    return Part(known[:limit], end is not None or len(known) > limit)
