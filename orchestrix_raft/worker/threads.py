"""Threads for synchronous handlers.

Unlike concurrent.futures they are daemons: a handler that hangs cannot keep a process alive that has
given its jobs back.  Used from one event loop; starting and counting need no lock.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue

Work = Callable[[], None]


class Threads:
    """Up to `limit` threads, started when needed and kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._threads = 0
        self._busy = 0

    def submit(self, work: Work) -> None:
        """Run `work`, which must not raise, in a thread; when all are taken it waits for one."""
        self._busy += 1
        if self._busy > self._threads and self._threads < self._limit:
            self._threads += 1
            threading.Thread(target=self._run, name=f"orchestrix-job-{self._threads}", daemon=True).start()
        self._queue.put(work)

    def done(self) -> None:
        """The loop has seen the end of one piece of work."""
        self._busy -= 1

    def stop(self) -> None:
        """Threads end after what they are at."""
        for _ in range(self._threads):
            self._queue.put(None)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            work()
