"""Rebalancing: owners that have more than twice as much to answer for as others hand sessions over.

A plan for the state of one moment; whether the difference has lasted, and which sessions have only just
moved, is the evidence of who asks.  Each move makes a difference smaller by at least half of what it moves,
so while loads stand still a sequence of plans ends: with every move the sum of their squares falls.
"""

from collections.abc import Collection, Mapping
from typing import Final

from orchestrix_raft.domain.worker import Session
from orchestrix_raft.duties.handoff import TRIES, is_fit
from orchestrix_raft.machine.commands import Move
from orchestrix_raft.machine.ownership import JobOwnershipRegistry, weight
from orchestrix_raft.machine.state import State

FACTOR: Final = 2  # loads that differ by no more than this are left alone


def loads_of(state: State) -> dict[str, int]:
    """What each healthy owner has to answer for, by node id."""
    registry = JobOwnershipRegistry(state)
    fit = [node_id for node_id, node in sorted(state.nodes.items()) if is_fit(node)]
    return {node_id: registry.load(node_id) for node_id in fit}


def uneven(loads: Mapping[str, int]) -> bool:
    """Whether one of them has more than twice as much as another."""
    return len(loads) > 1 and max(loads.values()) > FACTOR * min(loads.values())


def moves_to_even_out(state: State, lately: Collection[bytes], limit: int) -> tuple[Move, ...]:
    """At most `limit` sessions to move, from the most to the least loaded owner, until no two differ by more
    than twice or nothing that fits is left.  Sessions in `lately` stay: they were told to move not long ago.
    So do those that did not go when they were told so three times.
    """
    loads = loads_of(state)
    for session_id in lately:  # on their way: they count where they go
        session = state.sessions.get(session_id)
        if session is not None and session.handoff is not None and session.handoff.node_id in loads:
            if session.node_id in loads:
                loads[session.node_id] -= weight(session)
            loads[session.handoff.node_id] += weight(session)
    moves: list[Move] = []
    taken = set(lately)
    while len(moves) < limit and uneven(loads):
        fullest = max(loads, key=lambda one: (loads[one], one))
        emptiest = min(loads, key=lambda one: (loads[one], one))
        session = _best(state, fullest, loads[fullest] - loads[emptiest], taken)
        if session is None:
            break
        taken.add(session.session_id)
        loads[fullest] -= weight(session)
        loads[emptiest] += weight(session)
        moves.append(Move(session.session_id, session.epoch, emptiest))
    return tuple(moves)


def _best(state: State, node_id: str, difference: int, taken: Collection[bytes]) -> Session | None:
    """The session whose move brings two owners closest.  None: whatever moves would be as uneven after it."""
    best: Session | None = None
    best_left = 0
    for session in state.sessions_of(node_id):
        if session.session_id in taken or 4 * weight(session) > 3 * difference:
            continue
        if session.handoff is not None and session.handoff.tries >= TRIES:
            continue
        left = abs(difference - 2 * weight(session))
        if best is None or left < best_left:
            best, best_left = session, left
    return best
