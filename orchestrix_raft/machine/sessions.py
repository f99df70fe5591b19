"""Sessions: the ties of worker processes to the cluster.

A session is attached to a node (its owner) or detached with a deadline.  Every command of an owner names
the epoch, which each resume raises: who lost the session can no longer speak for it.
"""

from typing import Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import Timer, TimerKind
from orchestrix_raft.domain.worker import Session, fault_in_worker
from orchestrix_raft.machine import queues
from orchestrix_raft.machine.attempts import decide_loss, decide_release
from orchestrix_raft.machine.commands import (
    AttachSession,
    CloseSession,
    DetachSession,
    DrainSession,
    ResumeSession,
)
from orchestrix_raft.machine.events import (
    Event,
    SessionAttached,
    SessionDetached,
    SessionDraining,
    SessionEnded,
    SessionResumed,
)
from orchestrix_raft.machine.ownership import assigned_to, note_acknowledged, note_orphaned
from orchestrix_raft.machine.state import GENERATION_SHIFT, State
from orchestrix_raft.machine.timers import set_timer

FIRST_EPOCH: Final = 1

SESSION_UNKNOWN: Final = Rejected(
    Code.FAILED_PRECONDITION, "SESSION_UNKNOWN", "the session has ended or never was; attach a new one"
)
SESSION_MOVED: Final = Rejected(
    Code.FAILED_PRECONDITION, "SESSION_MOVED", "the session was resumed since; its epoch has changed"
)
_EXISTS: Final = Rejected(
    Code.ALREADY_EXISTS, "SESSION_EXISTS", "the session is not attached to this node; resume it"
)
_NODE_OVER: Final = Rejected(
    Code.FAILED_PRECONDITION, "NODE_NOT_ALIVE", "the node is not a living member of the cluster"
)
_NODE_DRAINING: Final = Rejected(
    Code.FAILED_PRECONDITION, "NODE_DRAINING", "the node hands over and takes no sessions: use another one"
)

# ---- decide


def decide_attach(state: State, command: AttachSession) -> tuple[SessionAttached, ...] | Rejected:
    """A new session, or the same one again at the same node."""
    session = state.sessions.get(command.session_id)
    if session is not None:
        return () if session.node_id == command.node_id else _EXISTS
    fault = fault_in_worker(
        command.session_id, command.name, command.queues, command.capacity, command.labels
    )
    if fault:
        return Rejected(Code.INVALID_ARGUMENT, "INVALID_SESSION", fault)
    refusal = _node_refuses(state, command.node_id)
    if refusal is not None:
        return refusal
    if len(state.sessions) >= limits.SESSIONS:
        return Rejected(
            Code.RESOURCE_EXHAUSTED, "SESSIONS_LIMIT", f"the cluster has {limits.SESSIONS} sessions already"
        )
    return (
        SessionAttached(
            command.session_id,
            command.node_id,
            command.name,
            command.queues,
            command.capacity,
            command.labels,
            state.counter + 1,
        ),
    )


def decide_resume(state: State, command: ResumeSession) -> tuple[SessionResumed] | Rejected:
    """The same process, here now: from a deadline or from another node."""
    session = _current(state, command.session_id, command.epoch)
    if isinstance(session, Rejected):
        return session
    refusal = _node_refuses(state, command.node_id)
    if refusal is not None:
        return refusal
    return (SessionResumed(command.session_id, command.node_id, session.epoch + 1),)


def decide_detach(state: State, command: DetachSession) -> tuple[SessionDetached, ...] | Rejected:
    """Its stream ended."""
    session = _current(state, command.session_id, command.epoch)
    if isinstance(session, Rejected):
        return session
    return detachments(state, [session]) if session.node_id else ()


def detachments(state: State, sessions: list[Session]) -> tuple[SessionDetached, ...]:
    """Detach attached sessions, in the order given; each gets its deadline."""
    due_ms = state.elapsed_ms + limits.SESSION_DEADLINE_MS
    return tuple(
        SessionDetached(
            session.session_id,
            session.node_id,
            Timer(TimerKind.SESSION_DEADLINE, due_ms, state.counter + place),
        )
        for place, session in enumerate(sessions, 1)
    )


def decide_drain(state: State, command: DrainSession) -> tuple[SessionDraining, ...] | Rejected:
    """It shall take nothing new."""
    session = state.sessions.get(command.session_id)
    if session is None:
        return SESSION_UNKNOWN
    return () if session.draining else (SessionDraining(command.session_id),)


def decide_close(state: State, command: CloseSession) -> tuple[Event, ...] | Rejected:
    """It says goodbye: what it still runs is given back."""
    session = _current(state, command.session_id, command.epoch)
    if isinstance(session, Rejected):
        return session
    events: list[Event] = [
        decide_release(state, job, state.counter + place)
        for place, job in enumerate(assigned_to(state, session), 1)
    ]
    events.append(SessionEnded(session.session_id, expired=False))
    return tuple(events)


def decide_expiry(state: State, session_id: bytes) -> tuple[Event, ...]:
    """Nobody resumed it in time: its assignments are lost (timer)."""
    session = state.sessions[session_id]
    events: list[Event] = [
        decide_loss(state, job, state.counter + place)
        for place, job in enumerate(assigned_to(state, session), 1)
    ]
    events.append(SessionEnded(session_id, expired=True))
    return tuple(events)


def _current(state: State, session_id: bytes, epoch: int) -> Session | Rejected:
    session = state.sessions.get(session_id)
    # One of a former generation only waits for its end.
    if session is None or session.epoch >> GENERATION_SHIFT:
        return SESSION_UNKNOWN
    return session if session.epoch == epoch else SESSION_MOVED


def _node_refuses(state: State, node_id: str) -> Rejected | None:
    node = state.nodes.get(node_id)
    if node is not None and node.takes_sessions:
        return None
    return _NODE_OVER if node is None or node.drain is None else _NODE_DRAINING


# ---- evolve


def evolve_attached(state: State, event: SessionAttached) -> None:
    """It can take jobs."""
    session = Session(
        event.session_id,
        event.name,
        event.queues,
        event.capacity,
        event.labels,
        event.node_id,
        FIRST_EPOCH,
        {},
        event.idle_seq,
        state.wall_ms,
    )
    state.sessions[event.session_id] = session
    state.counter = event.idle_seq
    state.node_sessions.setdefault(event.node_id, {})[event.session_id] = session
    state.board.seat(session)
    state.touched_sessions[event.session_id] = session


def evolve_detached(state: State, event: SessionDetached) -> None:
    """It takes nothing until it is resumed."""
    session = state.sessions[event.session_id]
    note_orphaned(state, session)
    _leave_node(state, session)
    session.node_id = ""
    session.handoff = None
    state.counter = event.timer.seq
    set_timer(state, session, event.session_id, event.timer)
    state.touched_sessions[event.session_id] = session


def evolve_resumed(state: State, event: SessionResumed) -> None:
    """The owner of all it runs changes in this one step."""
    session = state.sessions[event.session_id]
    if session.node_id != event.node_id:
        note_acknowledged(state, session)
        session.handoff = None  # one that comes back to where it was has tried in vain: that is remembered
    _leave_node(state, session)
    session.node_id = event.node_id
    session.epoch = event.epoch
    state.node_sessions.setdefault(event.node_id, {})[event.session_id] = session
    set_timer(state, session, event.session_id, None)
    for job in assigned_to(state, session):
        job.owner = event.node_id
        state.touched_jobs[job.spec.job_id] = job
    state.board.freed[event.session_id] = session
    state.touched_sessions[event.session_id] = session


def evolve_draining(state: State, event: SessionDraining) -> None:
    """It keeps what it runs."""
    session = state.sessions[event.session_id]
    session.draining = True
    state.touched_sessions[event.session_id] = session


def evolve_ended(state: State, event: SessionEnded) -> None:
    """Gone; its jobs have left it by the events before this one."""
    session = state.sessions.pop(event.session_id)
    for queue, key in session.leftovers.values():
        queues.free_unit(state, queue, key)
    _leave_node(state, session)
    set_timer(state, session, event.session_id, None)
    state.board.unseat(session)
    state.touched_sessions[event.session_id] = None


def _leave_node(state: State, session: Session) -> None:
    if session.node_id:
        siblings = state.node_sessions[session.node_id]
        del siblings[session.session_id]
        if not siblings:
            del state.node_sessions[session.node_id]
