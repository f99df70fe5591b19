"""A zone's time line cut into pieces, so that a policy for clock changes becomes a table.

Within a piece local time and instant differ by a constant.  The overlap policy decides which pieces there
are: with `first`, what clocks show for the second time is cut away; with `last`, what they will show again;
with `both`, nothing.  The gap policy `shift` adds a *gathering* piece: the local times that clocks jump over,
all at the instant after the gap.  A search for slots then only walks pieces, and the two policies need no
further rule, however long a change is (Apia skipped a day) and whatever it overlaps with.

Lines are made in blocks of about a year when they are first asked for, and kept.
"""

from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from orchestrix_raft.domain.schedule import DstGap, DstOverlap
from orchestrix_raft.timetable.zones import Zone

BLOCK_BITS: Final = 25  # 2^25 s, 388 days
MARGIN_S: Final = 3 * 86_400  # more than two offsets can differ by: 26 h, or 24 h by a skipped day

Span = tuple[int, int]


class Piece(NamedTuple):
    """Local times local_low..local_end - 1.  Open: they follow instant `begin_s` on, one to one.
    Gathering: all of them are at instant `begin_s`."""

    begin_s: int
    local_low: int
    local_end: int
    gathering: bool

    @property
    def end_s(self) -> int:
        """The first instant behind the piece."""
        return self.begin_s + (1 if self.gathering else self.local_end - self.local_low)


class _Stay(NamedTuple):
    """One offset, from one change to the next."""

    begin_s: int
    end_s: int
    offset_s: int

    @property
    def local(self) -> Span:
        return self.begin_s + self.offset_s, self.end_s + self.offset_s


@lru_cache(maxsize=1 << 14)
def pieces(zone: Zone, gap: DstGap, overlap: DstOverlap, block: int) -> tuple[Piece, ...]:
    """The pieces of one block, in the order of their instants; a gathering one before its open neighbour."""
    low, end = block << BLOCK_BITS, (block + 1) << BLOCK_BITS
    stays = _stays(zone, low - MARGIN_S, end + MARGIN_S)
    found = []
    for i, stay in enumerate(stays):
        if i and gap is DstGap.SHIFT and low <= stay.begin_s < end:
            found += [Piece(stay.begin_s, *span, True) for span in _jumped(stays, i)]
        rivals = {DstOverlap.FIRST: stays[:i], DstOverlap.LAST: stays[i + 1 :], DstOverlap.BOTH: []}[overlap]
        inside = (max(stay.begin_s, low) + stay.offset_s, min(stay.end_s, end) + stay.offset_s)
        spans = _without(inside, [other.local for other in rivals])
        found += [Piece(span[0] - stay.offset_s, *span, False) for span in spans]
    return tuple(found)


def _stays(zone: Zone, low: int, end: int) -> list[_Stay]:
    changes = zone.changes(low + 1, end)
    begins = [low, *(change.at_s for change in changes)]
    ends = [*(change.at_s for change in changes), end]
    offsets = [zone.offset_at(low), *(change.after_s for change in changes)]
    return [_Stay(*stay) for stay in zip(begins, ends, offsets, strict=True)]


def _jumped(stays: list[_Stay], i: int) -> list[Span]:
    """The local times that clocks skip at the beginning of stay i, less those that they show at another
    time, and less those that they skipped already."""
    jump = (stays[i].begin_s + stays[i - 1].offset_s, stays[i].local[0])
    skipped = [(after.begin_s + before.offset_s, after.local[0]) for before, after in pairwise(stays[:i])]
    return _without(jump, skipped + [stay.local for stay in stays])


def _without(span: Span, holes: list[Span]) -> list[Span]:
    """What is left of `span`, in order."""
    left = []
    low, end = span
    for hole_low, hole_end in sorted(holes):
        if hole_end <= low or hole_low >= hole_end:  # passed, or no hole: clocks went back there
            continue
        if hole_low >= end:
            break
        if hole_low > low:
            left.append((low, hole_low))
        low = hole_end
    if low < end:
        left.append((low, end))
    return left
