"""What a worker says about nodes it cannot use: at once, then now and then, and when it is over.

A worker whose nodes are down tries again several times a second, perhaps for days; its log should still
be worth reading.  That they are not there yet when it starts is no fault: they may start beside it, so for
the first seconds it is no warning.  Without a clock of its own: `now` is seconds of any monotonic one.
"""

import logging
from typing import Final

from orchestrix_raft.domain.words import counted

AGAIN_S: Final = 60.0  # between two lines of one reason
START_S: Final = 10.0  # what a cluster that starts together with its workers needs, and some
REASONS: Final = 100  # remembered at once; beyond it the oldest may be told once more

_log = logging.getLogger("orchestrix_raft.worker")


class Complaints:
    """Since the last `over`.  `began`: when the worker started."""

    def __init__(self, began: float) -> None:
        self._warn_from = began + START_S
        self._told: dict[str, float] = {}  # reason -> when it was told
        self._untold: dict[str, int] = {}
        self._since: float | None = None

    def say(self, reason: str, words: str, now: float) -> None:
        """Log `words`, unless its `reason` was told within the last minute: as a warning; while the worker
        starts only as news, which is told again as a warning if it lasts."""
        if self._since is None:
            self._since = now
        told = self._told.get(reason)
        if told is not None and now - told < AGAIN_S and not told < self._warn_from <= now:
            self._untold[reason] = self._untold.get(reason, 0) + 1
            return
        times = self._untold.pop(reason, 0)
        if len(self._told) >= REASONS:
            oldest = min(self._told, key=self._told.__getitem__)
            del self._told[oldest]
            self._untold.pop(oldest, None)
        self._told[reason] = now
        level = logging.WARNING if now >= self._warn_from else logging.INFO
        _log.log(level, "%s%s", words, f" (and {counted(times, 'time')} before, untold)" if times else "")

    def over(self, now: float) -> str:
        """A node serves the worker again: for how long none did, as words for the log; "" if one always did.
        What comes next is told at once."""
        since, self._since = self._since, None
        self._warn_from = now  # it has started
        self._told.clear()
        self._untold.clear()
        return "" if since is None else f" after {now - since:.1f} s without a node"
