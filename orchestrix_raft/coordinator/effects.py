"""What happens outside when an event is committed: pushes to workers, answers to those who wait.

Effects follow committed events and never precede them; they are repeated by nobody, so whatever one of
them may lose (a push into a broken stream) is made good by a later reconciliation.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from orchestrix_raft.coordinator.beats import Beats
from orchestrix_raft.coordinator.drain import CoordinatorDrain
from orchestrix_raft.coordinator.hub import SessionHub
from orchestrix_raft.coordinator.origin import Origin
from orchestrix_raft.coordinator.slot_watch import SlotWatch
from orchestrix_raft.coordinator.watches import Watches
from orchestrix_raft.domain.job import TERMINAL
from orchestrix_raft.machine.events import (
    AttemptEnded,
    Event,
    HandoffAsked,
    JobAssigned,
    JobCancelled,
    JobCompleted,
    JobGivenUp,
    NodeHealthSet,
    NodeJoined,
    NodeRemoved,
    SessionAttached,
    SessionDetached,
    SessionDraining,
    SessionEnded,
    SessionResumed,
    SlotFired,
    SlotSkipped,
    StopRequested,
)


class Effects:
    """Hands each kind of event to whom it concerns."""

    def __init__(self, hub: SessionHub, watches: Watches, origin: Origin, beats: Beats) -> None:
        self._hub = hub
        self._watches = watches
        self._origin = origin
        self._beats = beats
        self._now = 0.0
        self.drain: CoordinatorDrain | None = None  # set by the core
        self.slot_watch: SlotWatch | None = None  # set by the shell, which has the metrics
        self.members_changed = True  # somebody's address may be new; whoever looks clears it

    def follow(self, events: list[Event], now: float) -> None:
        """The effects of one entry's events, in order."""
        self._now = now
        for event in events:
            effect = _EFFECTS.get(type(event))
            if effect is not None:
                effect(self, event)

    def _assigned(self, event: JobAssigned) -> None:
        if event.node_id == self._origin.identity.node_id:
            self._hub.assigned(event)

    def _stop_requested(self, event: StopRequested) -> None:
        self._hub.stop_requested(event)

    def _finished(self, event: JobCompleted | JobCancelled | JobGivenUp) -> None:
        self._watches.finished(event.job_id)

    def _attempt_ended(self, event: AttemptEnded) -> None:
        if event.next_state in TERMINAL:
            self._watches.finished(event.job_id)

    def _slot_fired(self, event: SlotFired) -> None:
        if self.slot_watch is not None:
            self.slot_watch.fired(event, self._hub.state)

    def _slot_skipped(self, event: SlotSkipped) -> None:
        if self.slot_watch is not None:
            self.slot_watch.skipped(event)

    def _session_attached(self, event: SessionAttached | SessionResumed) -> None:
        self._hub.attached(event)

    def _session_detached(self, event: SessionDetached) -> None:
        self._hub.detached(event)

    def _session_draining(self, event: SessionDraining) -> None:
        self._hub.drain_asked(event)

    def _handoff_asked(self, event: HandoffAsked) -> None:
        if self.drain is not None:
            self.drain.asked(event, self._now)

    def _session_ended(self, event: SessionEnded) -> None:
        self._hub.ended(event)

    def _node_joined(self, event: NodeJoined) -> None:
        self._origin.joined(event, self._now)
        self._beats.joined(event.node_id, self._now)
        self.members_changed = True

    def _node_removed(self, event: NodeRemoved) -> None:
        self._origin.removed(event)
        self.members_changed = True

    def _node_health(self, event: NodeHealthSet) -> None:
        self._origin.health_set(event)


_EFFECTS: Final = MappingProxyType[type, Callable[[Effects, Any], None]](
    {
        JobAssigned: Effects._assigned,
        StopRequested: Effects._stop_requested,
        JobCompleted: Effects._finished,
        JobCancelled: Effects._finished,
        JobGivenUp: Effects._finished,
        AttemptEnded: Effects._attempt_ended,
        SlotFired: Effects._slot_fired,
        SlotSkipped: Effects._slot_skipped,
        SessionAttached: Effects._session_attached,
        SessionResumed: Effects._session_attached,
        SessionDetached: Effects._session_detached,
        SessionDraining: Effects._session_draining,
        HandoffAsked: Effects._handoff_asked,
        SessionEnded: Effects._session_ended,
        NodeJoined: Effects._node_joined,
        NodeHealthSet: Effects._node_health,
        NodeRemoved: Effects._node_removed,
    }
)
