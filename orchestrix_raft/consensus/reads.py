"""Linearizable reads without a log entry (read-index, Raft dissertation section 6.4).

A read takes the commit index of its moment and a round number that no message carried before.  Once a
majority has answered a message with that round, this node was still the leader when the read began, and
once the index is applied, the state contains everything acknowledged before.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, ParamSpec

from orchestrix_raft.consensus.bridge import Raft
from orchestrix_raft.consensus.peers import Peers

log = logging.getLogger(__name__)

P = ParamSpec("P")


class _Read(NamedTuple):
    round: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody wants here
    done: Callable[[int | None], None]


class Reads:
    """Reads waiting for their round, in order."""

    def __init__(self, raft: Raft, peers: Peers) -> None:
        self._raft, self._peers = raft, peers
        self.round = 1
        """Carried by every message to followers."""
        self._round_used = False
        self._waiting: deque[_Read] = deque()

    def note_sent(self) -> None:
        """A message with the present round is on its way: a later read needs a newer round."""
        self._round_used = True

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def ask(self, done: Callable[[int | None], None]) -> None:
        if self._round_used:
            self.round += 1
            self._round_used = False
        self._waiting.append(_Read(self.round, self._raft.commit_index, done))
        self._raft.replicate_now = True

    def answer(self) -> None:
        """Finish every read that is confirmed and applied."""
        if not self._waiting:
            return
        confirmed = self._confirmed_round()
        while self._waiting:
            read = self._waiting[0]
            if read.round > confirmed or read.index > self._raft.applied_index:
                return
            self._waiting.popleft()
            call(read.done, read.index)

    def _confirmed_round(self) -> int:
        """The newest round that a majority of the voters has answered."""
        configuration = self._peers.configuration
        if configuration is None:
            return 0
        rounds = {peer.node_id: peer.acknowledged_round for peer in self._peers.all}
        rounds[self._peers.node_id] = self.round
        return configuration.held_by_majority(rounds)

    def fail(self) -> None:
        """This node does not lead any more."""
        waiting, self._waiting = self._waiting, deque()
        for read in waiting:
            call(read.done, None)


def call(done: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call back into the owner.  An error there is its own: it must not stop the log or make the engine
    do something twice."""
    try:
        done(*args, **kwargs)
    except Exception:  # any error of the callee, see above
        log.exception("a callback of the consensus engine failed")
