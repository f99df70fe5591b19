"""What the limits of a queue let through at this moment, and who waits for them to let more through.

A `Gate` belongs to a queue that is paused or limited.  It is open or closed by what is counted, never by the
time itself: a full rate window stays full until the timer of its entity falls due, so every replica opens
it in the same entry.  Two kinds wait at it, and neither is looked at again before something opens:
- lanes, while the gate of the whole queue is closed: in a heap by their best job;
- lines, while the gate of their key is closed: parked under that key.

Everything here is derived from queues, windows, jobs and sessions and can be rebuilt.
"""

from collections.abc import Mapping
from heapq import heapify, heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Final

from orchestrix_raft.domain.job import Job
from orchestrix_raft.domain.queue import KeyWindow, Queue, QueueOptions
from orchestrix_raft.machine.rows import Line
from orchestrix_raft.machine.shards import Shards, shard_of

if TYPE_CHECKING:
    from orchestrix_raft.machine.board import Candidate, Lane, LaneKey

_SLACK: Final = 64  # stale items a heap may hold besides as many as it has live ones


class Gate:
    """The limits of one queue, with what is counted against them."""

    __slots__ = ("_heap", "_waiting", "keys", "parked", "queue", "running", "windows")

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.running = 0  # units: assignments whose end was not reported and whose session has not ended
        self.keys = Shards[int]()  # the same by key, never 0
        self.windows = Shards[KeyWindow]()
        self.parked: dict[str, dict[LaneKey, tuple[Lane, Line]]] = {}
        self._waiting: dict[LaneKey, Candidate] = {}
        self._heap: list[Candidate] = []

    def is_open(self) -> bool:
        """Whether one more job of the queue may be assigned."""
        queue = self.queue
        options = queue.options
        if options.paused or 0 < options.concurrency <= self.running:
            return False
        return options.rate is None or queue.window.used < options.rate.count

    def rules(self, key: str) -> QueueOptions:
        """What holds for a key: the limits of its queue, or what they were until its turn comes."""
        sweep = self.queue.sweep
        if sweep is None or shard_of(key) < sweep.done:
            return self.queue.options
        return sweep.before

    def admits(self, key: str) -> bool:
        """Whether one more job of this key may be, as far as the key is concerned."""
        options = self.rules(key)
        if 0 < options.key_concurrency <= (self.keys.get(key) or 0):
            return False
        if options.key_rate is None:
            return True
        window = self.windows.get(key)
        return window is None or window.window.used < options.key_rate.count

    # ---- units

    def take(self, key: str) -> None:
        """A job was assigned."""
        self.running += 1
        if key:
            self.keys[key] = (self.keys.get(key) or 0) + 1

    def free(self, key: str) -> None:
        """What was assigned has ended."""
        self.running -= 1
        if key:
            left = (self.keys.get(key) or 0) - 1
            if left:
                self.keys[key] = left
            else:
                del self.keys[key]

    # ---- lanes that wait for the queue

    def wait(self, candidate: "Candidate") -> None:
        """A lane has a job and the gate is closed.  The job may be a better one than the lane has by now,
        never a worse one."""
        self._waiting[candidate[3].key] = candidate
        if len(self._heap) > 2 * len(self._waiting) + _SLACK:
            self._heap = list(self._waiting.values())
            heapify(self._heap)
        else:
            heappush(self._heap, candidate)

    def waits(self, lane: "Lane") -> bool:
        """Whether a lane waits for the gate to open."""
        return lane.key in self._waiting

    def forget(self, lane: "Lane") -> None:
        """A lane waits no more: it is looked at now, or it is gone."""
        self._waiting.pop(lane.key, None)

    def next(self, jobs: Mapping[bytes, Job]) -> "Candidate | None":
        """The waiting lane with the best job, and that job; it waits no more.  None: none waits."""
        heap = self._heap
        waiting = self._waiting
        while heap:
            candidate = heap[0]
            lane = candidate[3]
            if waiting.get(lane.key) is not candidate:
                heappop(heap)
                continue
            item = lane.first(jobs)
            if item is None:
                heappop(heap)
                del waiting[lane.key]
            elif item[1] != candidate[1]:
                candidate = waiting[lane.key] = (*item, lane)
                heapreplace(heap, candidate)
            else:
                heappop(heap)
                del waiting[lane.key]
                return candidate
        return None

    @property
    def waiting(self) -> "list[Lane]":
        """The lanes that wait, in no order."""
        return [candidate[3] for candidate in self._waiting.values()]

    # ---- lines that wait for their key

    def park(self, lane: "Lane", line: Line) -> None:
        """The gate of its key is closed."""
        line.parked = True
        self.parked.setdefault(line.key, {})[lane.key] = (lane, line)

    def unpark(self, lane: "Lane", line: Line) -> None:
        """A parked line is empty."""
        line.parked = False
        lines = self.parked[line.key]
        del lines[lane.key]
        if not lines:
            del self.parked[line.key]

    def release(self, key: str) -> "list[Lane]":
        """The gate of a key is open: its lines go back to their lanes, which are to be looked at.  There is
        one for every set of labels that the key's jobs ask for."""
        lanes = []
        for lane, line in self.parked.pop(key, {}).values():
            line.parked = False
            lane.put(line)
            lanes.append(lane)
        return lanes
