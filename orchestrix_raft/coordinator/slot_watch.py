"""What becomes of the slots of schedules, in numbers of this node: how many fired, how late, how many not.

Follows committed events, so every node counts what the cluster does while it runs.
"""

from orchestrix_raft.machine.events import SlotFired, SlotSkipped
from orchestrix_raft.machine.state import State
from orchestrix_raft.telemetry.metrics import Registry
from orchestrix_raft.timetable.jitter import jitter_ms


class SlotWatch:
    """`slots_fired`, `slots_skipped`; `slot_late_ms` is how long after its slot and its jitter the newest run
    was started, `slot_late_max_ms` the largest since the start.  Runs that waited in a buffer, stand for
    missed slots or were started by hand count as fired, not as late."""

    def __init__(self, registry: Registry) -> None:
        self._fired = registry.counter("slots_fired")
        self._skipped = registry.counter("slots_skipped")
        self._late = registry.gauge("slot_late_ms")
        self._most_late = registry.gauge("slot_late_max_ms")

    def fired(self, event: SlotFired, state: State) -> None:
        """A slot has its run."""
        self._fired.add()
        slot = event.slot
        if event.buffered or slot.trigger or slot.missed:
            return
        schedule, job = state.schedules.get(event.schedule_id), state.jobs.get(event.job_id)
        if schedule is None or job is None or job.spec.firing is None:
            return  # over or gone within the same entry
        at_most_ms = schedule.spec.jitter_ms
        due_ms = slot.slot_ms + (jitter_ms(event.schedule_id, slot.slot_ms, at_most_ms) if at_most_ms else 0)
        late_ms = max(0, job.spec.firing.fired_ms - due_ms)
        self._late.set(late_ms)
        self._most_late.raise_to(late_ms)

    def skipped(self, event: SlotSkipped) -> None:
        """A slot, and those it stands for, have none."""
        self._skipped.add(1 + event.slot.missed)
