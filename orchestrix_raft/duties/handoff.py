"""Handing over: which session of a draining node goes where, and when to give up; likewise orphans.

`handoffs` is asked by the draining node for its own sessions; what it answers is proposed as `MoveSessions`.
A session that was told three times in vain is left to its deadline.
"""

from collections.abc import Iterable, Mapping
from heapq import heapify, heapreplace
from typing import Final, NamedTuple

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.node import Health, Node
from orchestrix_raft.machine.commands import ExpireSession, Move
from orchestrix_raft.machine.ownership import JobOwnershipRegistry, weight
from orchestrix_raft.machine.state import State

TRIES: Final = 3  # each with another target if there is one
OVERDUE_MS: Final = 1_000  # past its deadline: the timers have missed it


class Told(NamedTuple):
    """What the owner has told a worker since the drain began."""

    tries: int
    since_ms: int  # for so long it has waited for the newest try
    targets: tuple[str, ...]  # node ids, oldest first


class Handoffs(NamedTuple):
    """What is to be done now."""

    moves: tuple[Move, ...]
    given_up: tuple[bytes, ...]  # session ids: to be detached


class Patience(NamedTuple):
    """Of the owner."""

    acknowledged_ms: int = 5_000  # a try that a committed SessionResumed has not answered by then has failed
    limit: int = limits.HANDOFFS_AT_ONCE  # moves of one plan


NEVER: Final = Told(0, 0, ())


def takers(state: State, without: str, reachable: frozenset[str]) -> list[str]:
    """Nodes that may be given sessions, by id: alive and not draining.  Those that cannot be reached from
    here are named only if there are no others."""
    fit = [node_id for node_id, node in sorted(state.nodes.items()) if node_id != without and is_fit(node)]
    return [node_id for node_id in fit if node_id in reachable] or fit


def is_fit(node: Node) -> bool:
    """A healthy node that takes sessions."""
    return node.health is Health.ALIVE and node.takes_sessions


def handoffs(
    state: State, node_id: str, told: Mapping[bytes, Told], reachable: frozenset[str], patience: Patience
) -> Handoffs:
    """The next moves of sessions of a draining node, least loaded target first, spread by their
    weight.  Without anybody to go to, a session whose node is about to leave is given up at once; others
    stay."""
    node = state.nodes[node_id]
    leaving = node.drain is not None and node.drain.leaving
    loads = _Loads(state, takers(state, node_id, reachable))
    moves: list[Move] = []
    given_up: list[bytes] = []
    for session in state.sessions_of(node_id):
        before = told.get(session.session_id, NEVER)
        waits = before.tries > 0 and before.since_ms < patience.acknowledged_ms
        if waits and before.targets[-1] in loads.node_ids:
            continue
        if before.tries >= TRIES or (not loads.node_ids and leaving):
            given_up.append(session.session_id)
        elif loads.node_ids and len(moves) < patience.limit:
            target = loads.take(weight(session), before.targets)
            moves.append(Move(session.session_id, session.epoch, target))
    return Handoffs(tuple(moves), tuple(given_up))


class _Loads:
    """Who has least, while sessions are being given out."""

    def __init__(self, state: State, node_ids: Iterable[str]) -> None:
        registry = JobOwnershipRegistry(state)
        promised: dict[str, int] = {}
        for session in state.sessions.values():
            if session.handoff is not None:
                to = session.handoff.node_id
                promised[to] = promised.get(to, 0) + weight(session)
        self.node_ids = frozenset(node_ids)
        self._heap = [(registry.load(one) + promised.get(one, 0), one) for one in self.node_ids]
        heapify(self._heap)

    def take(self, more: int, not_again: tuple[str, ...]) -> str:
        """The least loaded one, of those not tried before if there are any left; it gets `more`."""
        load, best = self._heap[0]
        if best not in not_again:
            heapreplace(self._heap, (load + more, best))
            return best
        fresh = [item for item in self._heap if item[1] not in not_again]
        load, best = min(fresh) if fresh else (load, best)
        self._heap[self._heap.index((load, best))] = (load + more, best)
        heapify(self._heap)
        return best


class OrphanJobDetector:
    """Finds sessions that nobody will come back for and that no timer will end.

    The timers of the state see to deadlines when they fall due.  This looks behind them: at detached sessions
    without a deadline (its timer was set aside), or past it.  Their jobs would be assigned for ever.
    """

    @staticmethod
    def orphans(state: State, elapsed_ms: int, limit: int) -> list[ExpireSession]:
        """At most `limit` of them, by session id."""
        found = [
            ExpireSession(session_id, session.epoch)
            for session_id, session in state.sessions.items()
            if not session.node_id
            and (session.timer is None or session.timer.due_ms + OVERDUE_MS < elapsed_ms)
        ]
        return sorted(found, key=lambda command: command.session_id)[:limit]
