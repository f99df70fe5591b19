"""What a node does while it leads: it stamps time, makes entries of what waits, and does the duties.

A leader that is not `active` has not applied the first entry of its term yet and proposes nothing.  Whatever
is lost with the leadership is sent again by its origins, or planned again from the state.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from orchestrix_raft.consensus.port import Accepted, Consensus, Refused
from orchestrix_raft.coordinator.beats import Beats
from orchestrix_raft.coordinator.duties import Duties
from orchestrix_raft.coordinator.proposer import Proposer
from orchestrix_raft.coordinator.replica import Replica
from orchestrix_raft.coordinator.schedules import ScheduleRunner
from orchestrix_raft.coordinator.settings import Clocks, CoreLimits
from orchestrix_raft.coordinator.stamper import Stamper
from orchestrix_raft.duties.upgrade import outstanding
from orchestrix_raft.machine.codec import encode_entry, make_entry, unnumbered
from orchestrix_raft.machine.commands import Command, Entry

LOOK_S: Final = 0.25
"""At the latest so often somebody looks at deadlines of callers, silent streams, observations, beats and
checkpoints.  Most wait for seconds and are many: one coarse look costs less than knowing the nearest of them,
and the consensus of a healthy node wants its own step more often than that."""
SOON_S: Final = 0.05
"""The same while somebody waits for what depends on other nodes."""


class Leadership:
    """Of one node.  `faulty` takes bugs that were caught."""

    def __init__(
        self,
        limits: CoreLimits,
        clocks: Clocks,
        replica: Replica,
        consensus: Consensus,
        proposer: Proposer,
        beats: Beats,
        faulty: Callable[[list[Exception]], None],
    ) -> None:
        self.active = False
        self.stamper = Stamper(clocks)
        self.schedules = ScheduleRunner(clocks.monotonic)
        self._limits = limits
        self._replica = replica
        self._consensus = consensus
        self._proposer = proposer
        self._beats = beats
        self._faulty = faulty
        self._duties = Duties(limits, beats, self.stamper)
        self._in_flight: deque[int] = deque()  # indexes of entries of commands that are not applied yet
        self._held_until = 0.0
        self._due_at = 0.0  # nothing falls due here before, as long as nothing is applied ...
        self._due_index = -1  # ... beyond this entry

    def look(self, now: float) -> None:
        """Begin or end, as consensus says."""
        leading = self._consensus.ready
        if leading and not self.active:
            self.stamper.start(self._replica.state, self._consensus.voters, now)
            self._beats.lead(now)
            self._duties.lead(now)
            self.schedules.lead()
            self._due_index = -1
        elif self.active and not leading:
            self._in_flight.clear()
        self.active = leading

    def hold(self, now: float, for_s: float) -> None:
        """Somebody is about to take over: one entry more here, and nobody could vote for him."""
        self._held_until = now + for_s
        self._due_index = -1

    def holds(self, now: float) -> bool:
        """New entries are held back."""
        return self.active and now < self._held_until

    def can_stamp(self, now: float) -> bool:
        """It leads and knows the time."""
        return self.active and self.stamper.ready(now)

    # ---- entries -------------------------------------------------------------------------------------

    def propose(self, now: float) -> None:
        """Entries of what waits, as many as may be under way; or an empty one if something fell due."""
        if not self.stamper.ready(now) or self.holds(now):
            return
        in_flight = self._in_flight
        if in_flight:
            self._forget_applied()
        while self._proposer.pending and self._has_room:
            batches = self._proposer.take_for_entry()
            if not batches or not self._append(
                Entry(self.stamper.elapsed_ms(now), self.stamper.wall_ms(now), batches), now
            ):
                return
        if not in_flight and self.due(now) and self.stamper.due(self._replica.state, now):
            self._append(Entry(self.stamper.elapsed_ms(now), self.stamper.wall_ms(now), ()), now)

    def _forget_applied(self) -> None:
        in_flight, applied = self._in_flight, self._consensus.applied_index
        while in_flight and in_flight[0] <= applied:
            in_flight.popleft()

    @property
    def _has_room(self) -> bool:
        return len(self._in_flight) < self._limits.proposer.in_flight

    def _append(self, entry: Entry, now: float) -> bool:
        verdict = self._consensus.propose(encode_entry(entry))
        if isinstance(verdict, Refused):
            # Leadership went between two looks at it: own commands are still unresolved and are sent again,
            # those of others are sent again by their origins.
            self._proposer.resend(now)
            return False
        self._in_flight.append(verdict.index)
        return True

    def unnumbered(self, commands: tuple[Command, ...], now: float) -> Accepted | None:
        """Propose commands that need no exactly-once, because they name what they saw.  Those of a machine
        level that is still to come are left out: they are planned again."""
        state = self._replica.state
        if state.rules.needs:
            commands = tuple(one for one in commands if state.rules.refusal(one, state.level) is None)
        if not commands or self.holds(now):
            return None
        entry = make_entry(self.stamper.elapsed_ms(now), self.stamper.wall_ms(now), (unnumbered(*commands),))
        verdict = self._consensus.propose(encode_entry(entry))
        return None if isinstance(verdict, Refused) else verdict

    # ---- duties --------------------------------------------------------------------------------------

    def do_duties(self, now: float) -> None:
        """What the leader should propose now."""
        self._due_index = -1
        replica, applied = self._replica, self._consensus.applied_index
        state, ready = replica.state, self.stamper.ready(now)
        settled = self._consensus.settled.configuration
        members = settled.members if settled else ()
        everyone = self._consensus.members | frozenset(members) if outstanding(state) else members
        resting = replica.history.checkpointing
        commands = self._duties.due(state, applied, members, everyone, now, resting)
        if commands:
            accepted = self.unnumbered(commands, now)
            if accepted is not None:
                self._duties.proposed(accepted.index)
        if ready:
            wall_ms = self.stamper.wall_ms(now)
            self.schedules.step(state, wall_ms, applied, lambda plans: self.unnumbered(plans, now))
            if self.schedules.faults:
                self._faulty(self.schedules.taken_faults())

    # ---- when ----------------------------------------------------------------------------------------

    def busy(self, now: float) -> bool:
        """There is more to do at once."""
        waits = self._proposer.pending and self.stamper.ready(now) and self._has_room
        return (self.schedules.busy or waits) and not self.holds(now)

    def due(self, now: float) -> bool:
        """Something may be due that was not when it was last looked at.  False costs nothing."""
        if self.schedules.busy:
            return True
        return now >= self._due_at or self._consensus.applied_index != self._due_index

    def due_at(self, now: float) -> float:
        """When something is to be done for a reason of its own, or is to be looked for again.  Found out once
        for an index, and anew after LOOK_S: wall time does not pass evenly."""
        if self.due(now):
            self._due_index = self._consensus.applied_index
            self._due_at = now + min(self._due_in_s(now), LOOK_S)
        return self._due_at

    def _due_in_s(self, now: float) -> float:
        """Seconds until then; inf: nothing is known."""
        self._forget_applied()
        if self._in_flight:
            return float("inf")  # what is in flight brings the time along
        if self.holds(now):
            return self._held_until - now
        state = self._replica.state
        return min(
            self.stamper.due_in_s(state, now),
            self._duties.due_in_s(now),
            self.schedules.due_in_s(state, self.stamper.wall_ms(now)),
        )
