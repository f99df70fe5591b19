"""Two processes that say they are one node: the one that is connected stays, as long as it lives.

A process that was killed loses its connections at once, one whose machine is gone falls silent and is let
go: so whoever comes in its place only has to come again.  If the connected one goes on speaking for longer
than silence is borne, both live, one of them from a copied data directory, and the newcomer has to end.
Pure; used by `link`, which keeps one of these for every connection, and so forgets it with it.
"""

from typing import Final

RIVALS_MAX: Final = 8  # newcomers remembered; without TLS anybody can claim to be one


class Rivals:
    """Of one connection: the other processes of its node that came while it was open."""

    def __init__(self) -> None:
        self._first_seen: dict[bytes, float] = {}  # by nonce, in order
        self._spoke_after = 0.0

    def spoke(self, after: float) -> None:
        """The connected process has been heard, at some time after `after`."""
        self._spoke_after = after

    def stood_still(self) -> None:
        """This process did: what it hears now may have been said long ago, by the dead."""
        self._first_seen.clear()

    def came(self, nonce: bytes, now: float, silent_s: float) -> bool:
        """A newcomer is to be refused.  True: for good, as both processes certainly live."""
        first_seen = self._first_seen.get(nonce)
        if first_seen is None:
            if len(self._first_seen) >= RIVALS_MAX:
                del self._first_seen[next(iter(self._first_seen))]
            self._first_seen[nonce] = now
            return False
        return self._spoke_after > first_seen + silent_s
