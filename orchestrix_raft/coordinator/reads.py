"""Reads that must be fresh: wait for an index, or ask the leader which index that is.

All linearizable reads that wait when a round starts share it; a round that the leader cannot answer
(it lost leadership, the connection broke) is asked again until the caller's time is over.
"""

import heapq
from collections.abc import Callable

from orchestrix_raft.consensus.port import Consensus

OnFresh = Callable[[bool], None]
"""Called once: True when the local state is as fresh as asked, False when time ran out."""

_Waiting = tuple[float, OnFresh]  # deadline, whom to tell

_ROUND_S = 1.0  # a round without an answer is asked again
_PAUSE_S = 0.05  # between two askings of nodes that do not lead


class WaitingReads:
    """Waiting reads of one node."""

    def __init__(self, consensus: Consensus, wait_s: float, first_round: int = 0) -> None:
        """`first_round` differs from process to process: an answer to an earlier process of this node
        speaks of an earlier moment and must not count."""
        self._consensus = consensus
        self._wait_s = wait_s
        self._at_index: list[tuple[int, int, float, OnFresh]] = []  # heap: index, number, deadline
        self._fresh: list[_Waiting] = []  # linearizable, not yet in a round
        self._round: list[_Waiting] = []
        self._round_number = first_round
        self._round_sent_at = 0.0
        self._ask_again_at = 0.0  # after an answer that says nothing, not at the speed of the network
        self._number = 0

    def at(self, index: int, now: float, done: OnFresh) -> None:
        """Wait until `index` is applied here."""
        self._number += 1
        heapq.heappush(self._at_index, (index, self._number, now + self._wait_s, done))

    def __len__(self) -> int:
        """How many wait."""
        return len(self._at_index) + len(self._fresh) + len(self._round)

    def linearizable(self, now: float, done: OnFresh) -> None:
        """Wait until everything acknowledged before now is applied here."""
        self._fresh.append((now + self._wait_s, done))

    @property
    def waiting(self) -> bool:
        """Somebody waits."""
        return bool(self._at_index or self._fresh or self._round)

    def pump(self, now: float, ask: Callable[[int], bool]) -> None:
        """Once a step: release what is fresh, give up what is too old, start a round if one is wanted."""
        if not self.waiting:
            return
        heap, applied = self._at_index, self._consensus.applied_index
        while heap and heap[0][0] <= applied:
            heapq.heappop(heap)[3](True)
        self._expire(now)
        if self._round and now - self._round_sent_at > _ROUND_S:
            self.leader_changed()
        if self._fresh and not self._round and now >= self._ask_again_at:
            self._start_round(now, ask)

    def _start_round(self, now: float, ask: Callable[[int], bool]) -> None:
        self._round_number += 1
        number = self._round_number
        if self._consensus.ready:
            self._round, self._fresh = self._fresh, []
            self._round_sent_at = now
            self._consensus.read_index(lambda index: self.answered(number, -1 if index is None else index))
        elif ask(number):
            self._round, self._fresh = self._fresh, []
            self._round_sent_at = now

    def answered(self, number: int, index: int) -> None:
        """The leader's answer to a round; -1: it does not lead."""
        if number != self._round_number:
            return
        waiting, self._round = self._round, []
        if index < 0:
            self._fresh = waiting + self._fresh
            self._ask_again_at = self._round_sent_at + _PAUSE_S
            return
        for deadline, done in waiting:
            self._number += 1
            heapq.heappush(self._at_index, (index, self._number, deadline, done))

    def leader_changed(self) -> None:
        """The answer of a round under way may never come."""
        self._round_number += 1
        self._ask_again_at = 0.0
        self._fresh, self._round = self._round + self._fresh, []

    def _expire(self, now: float) -> None:
        late = [item for item in self._at_index if item[2] <= now]
        if late:
            self._at_index = [item for item in self._at_index if item[2] > now]
            heapq.heapify(self._at_index)
            for item in late:
                item[3](False)
        self._round, over = _split(self._round, now)
        self._fresh, too = _split(self._fresh, now)
        for _, done in over + too:
            done(False)

    def fail_all(self) -> None:
        """The node stops."""
        dones = [item[3] for item in self._at_index] + [done for _, done in self._round + self._fresh]
        self._at_index, self._fresh, self._round = [], [], []
        for done in dones:
            done(False)


def _split(waiting: list[_Waiting], now: float) -> tuple[list[_Waiting], list[_Waiting]]:
    """Those with time left and those without; the oldest come first."""
    over = 0
    while over < len(waiting) and waiting[over][0] <= now:
        over += 1
    return waiting[over:], waiting[:over]
