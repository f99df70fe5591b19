"""Do the replicas still agree?  Digests at fixed indexes, compared in heartbeats.

Every node remembers its rolling digest at each multiple of DIGEST_STRIDE; the leader compares what a
follower's heartbeat names with its own.  A difference is a bug or a damaged memory: it is reported,
never repaired silently.
"""

from collections import OrderedDict
from collections.abc import Collection
from typing import Final

DIGEST_STRIDE: Final = 64
_KEPT: Final = 4_096


class DigestTrail:
    """The newest digests of this node, and the differences it has seen."""

    def __init__(self) -> None:
        self._at: OrderedDict[int, bytes] = OrderedDict()
        self.divergent: dict[str, int] = {}  # node id -> first index at which it differed

    def note(self, index: int, digest: bytes) -> None:
        """The digest after applying `index`."""
        if index % DIGEST_STRIDE == 0:
            self._at[index] = digest
            if len(self._at) > _KEPT:
                self._at.popitem(last=False)

    def newest(self) -> tuple[int, bytes]:
        """(index, digest) of the newest one kept; (0, b"") if there is none."""
        if not self._at:
            return 0, b""
        index = next(reversed(self._at))
        return index, self._at[index]

    def compare(self, node_id: str, index: int, digest: bytes) -> None:
        """What another node says it had at `index`."""
        mine = self._at.get(index)
        if mine is not None and mine != digest:
            self.divergent.setdefault(node_id, index)

    def keep(self, members: Collection[str]) -> None:
        """These are the members: how others differed is of no interest any more."""
        self.divergent = {node_id: index for node_id, index in self.divergent.items() if node_id in members}

    def clear(self) -> None:
        """The state was replaced: older digests are another history's business."""
        self._at.clear()
