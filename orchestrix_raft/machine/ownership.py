"""Who owns what: which node answers for a session, and with it for the jobs that its worker runs.

Ownership is no table of its own.  A session is attached to at most one node, an assignment holds one slot of
one session, so the owner of a job is read off those two, and cannot disagree with them.  A change of owner
is one event, `SessionResumed`.
"""

from collections.abc import Iterator
from typing import NamedTuple

from orchestrix_raft.domain.job import ASSIGNED, Job
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine.state import State


class JobAssignment(NamedTuple):
    """A job that a worker was given, and who answers for it."""

    job_id: bytes
    token: int
    session_id: bytes
    owner: str  # node id; "": the session is detached


class JobOwnershipRegistry:
    """Reads of a state, by owner and by worker; every listing is bounded by its caller."""

    def __init__(self, state: State) -> None:
        self._state = state

    def load(self, node_id: str) -> int:
        """What being the owner costs a node: one for each session, one more for each slot taken."""
        return self._state.owned_jobs(node_id) + len(self._state.node_sessions.get(node_id, ()))

    def of_owner(self, node_id: str, limit: int) -> list[JobAssignment]:
        """Up to `limit` assignments that a node owns, by session and token."""
        sessions = self._state.sessions_of(node_id)
        return _first(limit, (one for session in sessions for one in self._held(session)))

    def of_worker(self, session_id: bytes, limit: int) -> list[JobAssignment]:
        """Up to `limit` assignments of one worker, by token."""
        session = self._state.sessions.get(session_id)
        return [] if session is None else _first(limit, self._held(session))

    def _held(self, session: Session) -> Iterator[JobAssignment]:
        for job in assigned_to(self._state, session):
            yield JobAssignment(job.spec.job_id, job.token, session.session_id, session.node_id)


def _first(limit: int, found: Iterator[JobAssignment]) -> list[JobAssignment]:
    return [one for _, one in zip(range(limit), found, strict=False)]


def weight(session: Session) -> int:
    """What a session adds to the load of its owner."""
    return 1 + len(session.slots)


def assigned_to(state: State, session: Session) -> Iterator[Job]:
    """The jobs whose current attempt this session runs, by token.  Slots of attempts that are over are not
    among them."""
    for token in sorted(session.slots):
        job = state.jobs.get(session.slots[token])
        if job is not None and job.token == token and job.state in ASSIGNED:
            yield job


def note_acknowledged(state: State, session: Session) -> None:
    """A session goes on at another node; count it for the one that hands over.  To be called before it is
    moved."""
    node = state.nodes.get(session.node_id)
    if node is not None and node.drain is not None:
        node.drain.acknowledged += 1
        node.drain.acknowledged_jobs += len(session.slots)
        state.touched_nodes[node.node_id] = node


def note_orphaned(state: State, session: Session) -> None:
    """A session is detached: ORPHAN_PENDING, its deadline decides; likewise."""
    node = state.nodes.get(session.node_id)
    if node is not None and node.drain is not None:
        node.drain.orphaned += 1
        node.drain.orphaned_jobs += len(session.slots)
        state.touched_nodes[node.node_id] = node
