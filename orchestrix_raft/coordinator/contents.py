"""What this node held at each mark in the log: digests over all rows of a checkpoint, for comparison.

The rolling digest of `digests` says that replicas did the same; this one says that they hold the same,
finished jobs and all, as it is read from disk.  A mark is an entry: every node makes a checkpoint of exactly
that entry, and reads it beside whatever it does meanwhile.  In memory only: who restarted in between is
asked with the next mark."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from orchestrix_raft.storage.port import StateView, StorageError
from orchestrix_raft.storage.views import Contents, contents_of

MARKS_KEPT: Final = 16
PAUSE_S: Final = 0.0005  # after each slice of rows, which takes about a millisecond
WAIT_S: Final = 5.0  # of one question

TOO_MANY: Final = "too many comparisons were asked for at once: ask again in a while"
REPLACED: Final = "it took over a snapshot while it was asked: ask again"
UNKNOWN: Final = "it was started, or took over a snapshot, after the entry to compare at: ask again"

Finding = Contents | str | None
"""What was found, or why nothing was (one line that follows a node's name); None: it is being read."""


class ContentsTrail:
    """The newest marks of this node, by log index."""

    def __init__(self) -> None:
        self._found: OrderedDict[int, Finding] = OrderedDict()
        self._to_read: list[tuple[int, StateView]] = []

    def begin(self, index: int, taken: bool) -> None:
        """A mark was applied.  taken: a checkpoint will be made of it."""
        self._found[index] = None if taken else TOO_MANY
        if len(self._found) > MARKS_KEPT:
            self._found.popitem(last=False)

    def written(self, index: int, view: StateView | None) -> None:
        """The checkpoint is made; None: and was overtaken."""
        if view is None:
            self.end(index, REPLACED)
        else:
            self._to_read.append((index, view))

    def take(self) -> list[tuple[int, StateView]]:
        """Views to be read, each to be closed and followed by `end`."""
        taken, self._to_read = self._to_read, []
        return taken

    def end(self, index: int, finding: Contents | str) -> None:
        """What came of reading."""
        if index in self._found:
            self._found[index] = finding

    def replaced(self) -> None:
        """A snapshot took the place of the state: what is not written yet never will be."""
        under_way = {index for index, _ in self._to_read}
        for index, finding in self._found.items():
            if finding is None and index not in under_way:
                self._found[index] = REPLACED

    def find(self, index: int) -> Finding:
        """Of a mark that was applied here, or that this node knows nothing of."""
        return self._found.get(index, UNKNOWN)


Until = Callable[[Callable[[], bool]], Awaitable[None]]


class ContentsReader:
    """Reads what is to be read in a thread of its own, slowly enough that the node's loop does not feel
    it."""

    def __init__(self, trail: ContentsTrail, until: Until) -> None:
        """`until` waits for a condition that is looked at after every step of the core."""
        self._trail = trail
        self._until = until
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="contents")
        self._ends = threading.Event()

    def look(self) -> None:
        """Begin to read what was written meanwhile."""
        for index, view in self._trail.take():
            self._thread.submit(self._read, index, view)

    def _read(self, index: int, view: StateView) -> None:
        finding: Contents | str
        try:
            finding = contents_of(view, self._pause)
        except StorageError as error:
            finding = str(error)
        finally:
            view.close()
        if not self._ends.is_set():
            self._loop.call_soon_threadsafe(self._trail.end, index, finding)

    def _pause(self) -> None:
        if self._ends.wait(PAUSE_S):
            raise StorageError("the node stops")

    async def find(self, index: int) -> Finding:
        """At an index that is applied here; waits a while for what is still to be found."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._until(lambda: self._trail.find(index) is not None)
        except TimeoutError:
            return None  # the caller asks again
        return self._trail.find(index)

    def close(self) -> None:
        """Stop reading; answers when nothing is read any more."""
        self._ends.set()
        self._thread.shutdown(cancel_futures=True)
