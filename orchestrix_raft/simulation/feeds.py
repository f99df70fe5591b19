"""The feeds of all nodes against the events of the machine that never stops: complete from where they start.

Used by the checker.
"""

from collections.abc import Callable

from orchestrix_raft.coordinator.feed import Feed
from orchestrix_raft.machine.packing import pack
from orchestrix_raft.machine.port import Applied

PAGE = 50
PAGE_BYTES = 1 << 20


class FeedWatch:
    """Sees what every entry did, and at the end every feed."""

    def __init__(self, violation: Callable[[str], None]) -> None:
        self._violation = violation
        self._records: dict[int, bytes] = {}  # by index, of the entries that did something

    def entry(self, index: int, elapsed_ms: int, applied: Applied) -> None:
        """What the machine that never stops did."""
        if applied.events:
            self._records[index] = pack(applied.causes, applied.encoded, applied.events, elapsed_ms)

    def final(self, name: str, feed: Feed, applied_index: int) -> None:
        """A node's feed is what happened, in order, once, from where it says on."""
        if feed.newest != applied_index:
            self._violation(f"the feed of {name} ends at {feed.newest}, the node at {applied_index}")
        told: list[tuple[int, bytes]] = []
        place = feed.after
        while rows := feed.read(place, PAGE, PAGE_BYTES):
            told += [(row.index, row.record) for row in rows]
            place = rows[-1].index
        wanted = [(index, record) for index, record in sorted(self._records.items()) if index > feed.after]
        if told != wanted:
            missing = [index for index, _ in wanted if index not in dict(told)]
            self._violation(
                f"the feed of {name} from {feed.after} on tells {len(told)} entries of {len(wanted)};"
                f" missing {missing[:5]}, or other than they were"
            )
