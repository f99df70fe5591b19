"""One writer per event: the only way the state changes.

An evolve function cannot refuse.  If it raises, the state may be half changed and the node must stop.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from orchestrix_raft.domain.job import TimerKind
from orchestrix_raft.machine import attempts, events, jobs, nodes, sessions
from orchestrix_raft.machine.state import State
from orchestrix_raft.machine.timers import entity_of, set_timer


def evolve_timer_set_aside(state: State, event: events.TimerSetAside) -> None:
    """It is not tried again."""
    entity = entity_of(state, event.kind, event.key)
    if entity is None:
        raise KeyError(f"no entity for a timer of kind {event.kind}")
    set_timer(state, entity, event.key, None)
    state.set_aside += 1
    if event.kind == TimerKind.SESSION_DEADLINE:
        state.touched_sessions[event.key] = state.sessions[event.key]
    else:
        state.touched_jobs[event.key] = state.jobs[event.key]


EVOLVE: Final = MappingProxyType[type, Callable[[State, Any], None]](
    {
        events.JobEnqueued: jobs.evolve_enqueued,
        events.JobReady: jobs.evolve_ready,
        events.JobAssigned: attempts.evolve_assigned,
        events.JobStarted: attempts.evolve_started,
        events.JobProgressed: attempts.evolve_progressed,
        events.JobCompleted: attempts.evolve_completed,
        events.AttemptEnded: attempts.evolve_attempt_ended,
        events.JobReleased: attempts.evolve_released,
        events.StopRequested: attempts.evolve_stop_requested,
        events.JobCancelled: jobs.evolve_cancelled,
        events.JobRetried: jobs.evolve_retried,
        events.SlotFreed: attempts.evolve_slot_freed,
        events.StaleToken: attempts.evolve_nothing,
        events.SessionAttached: sessions.evolve_attached,
        events.SessionDetached: sessions.evolve_detached,
        events.SessionResumed: sessions.evolve_resumed,
        events.SessionDraining: sessions.evolve_draining,
        events.SessionEnded: sessions.evolve_ended,
        events.NodeJoined: nodes.evolve_joined,
        events.NodeHealthSet: nodes.evolve_health,
        events.TimerSetAside: evolve_timer_set_aside,
    }
)


def evolve(state: State, event: events.Event) -> None:
    """Let one event change the state."""
    EVOLVE[type(event)](state, event)
