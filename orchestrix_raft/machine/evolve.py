"""One writer per event: the only way the state changes.

An evolve function cannot refuse.  If it raises, the state may be half changed and the node must stop.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from orchestrix_raft.domain.job import TimerKind
from orchestrix_raft.machine import (
    attempts,
    audit,
    drains,
    events,
    generations,
    jobs,
    keeping,
    levels,
    nodes,
    queues,
    schedules,
    sessions,
    unique,
)
from orchestrix_raft.machine.history import KEY_WINDOWS, QUEUES, UNIQUE_WINDOWS
from orchestrix_raft.machine.state import State
from orchestrix_raft.machine.timers import entity_of, set_timer


def evolve_timer_set_aside(state: State, event: events.TimerSetAside) -> None:
    """It is not tried again."""
    entity = entity_of(state, event.kind, event.key)
    if entity is None:
        raise KeyError(f"no entity for a timer of kind {event.kind}")
    set_timer(state, entity, event.key, None)
    state.set_aside += 1
    match event.kind:
        case TimerKind.SESSION_DEADLINE:
            state.touched_sessions[event.key] = state.sessions[event.key]
        case TimerKind.QUEUE_WINDOW | TimerKind.KEY_SWEEP:
            state.touch(QUEUES, event.key, state.limited[event.key.decode()])
        case TimerKind.KEY_WINDOW:
            state.touch(KEY_WINDOWS, event.key, state.key_windows[event.key])
        case TimerKind.UNIQUE_WINDOW:
            state.touch(UNIQUE_WINDOWS, event.key, state.unique_windows[event.key])
        case _:
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
        events.SchedulePut: schedules.evolve_put,
        events.SchedulePaused: schedules.evolve_paused,
        events.ScheduleResumed: schedules.evolve_resumed,
        events.ScheduleDeleted: schedules.evolve_deleted,
        events.SlotFired: schedules.evolve_fired,
        events.SlotSkipped: schedules.evolve_skipped,
        events.SlotBuffered: schedules.evolve_buffered,
        events.ScheduleAdvanced: schedules.evolve_advanced,
        events.QueueConfigured: queues.evolve_configured,
        events.WindowPassed: queues.evolve_window_passed,
        events.KeysSwept: queues.evolve_keys_swept,
        events.UniqueWindowEnded: unique.evolve_window_ended,
        events.JobForgotten: keeping.evolve_forgotten,
        events.IdForgotten: keeping.evolve_id_forgotten,
        events.OldestKept: keeping.evolve_oldest,
        events.JobGivenUp: jobs.evolve_given_up,
        events.NodeRemoved: nodes.evolve_removed,
        events.NodeDraining: drains.evolve_draining,
        events.NodeUndrained: drains.evolve_undrained,
        events.HandoffAsked: drains.evolve_handoff_asked,
        events.Audited: audit.evolve_audited,
        events.AuditForgotten: audit.evolve_forgotten,
        events.GenerationRaised: generations.evolve_raised,
        events.ContentsMarked: generations.evolve_marked,
        events.LevelRaised: levels.evolve_raised,
        events.RecordsMigrated: levels.evolve_migrated,
    }
)
