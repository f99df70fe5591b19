"""What a worker says about nodes it cannot use: at once, then now and then, and when it is over.

A worker whose nodes are down tries again several times a second, perhaps for days; its log should still
be worth reading.  Without a clock of its own: `now` is seconds of any monotonic one.
"""

import logging
from typing import Final

AGAIN_S: Final = 60.0  # between two lines of one reason
REASONS: Final = 100  # remembered at once; beyond it the oldest may be told once more

_log = logging.getLogger("orchestrix_raft.worker")


class Complaints:
    """Since the last `over`."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}  # reason -> when it was told
        self._untold: dict[str, int] = {}
        self._since: float | None = None

    def say(self, reason: str, words: str, now: float) -> None:
        """Log `words`, unless its `reason` was told within the last minute."""
        if self._since is None:
            self._since = now
        told = self._told.get(reason)
        if told is not None and now - told < AGAIN_S:
            self._untold[reason] = self._untold.get(reason, 0) + 1
            return
        times = self._untold.pop(reason, 0)
        if len(self._told) >= REASONS:
            oldest = min(self._told, key=self._told.__getitem__)
            del self._told[oldest]
            self._untold.pop(oldest, None)
        self._told[reason] = now
        _log.warning("%s%s", words, f" (and {times} times before, untold)" if times else "")

    def over(self, now: float) -> str:
        """A node serves the worker again: for how long none did, as words for the log; "" if one always did.
        What comes next is told at once."""
        since, self._since = self._since, None
        self._told.clear()
        self._untold.clear()
        return "" if since is None else f" after {now - since:.1f} s without a node"
