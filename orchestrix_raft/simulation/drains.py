"""A simulated operator who drains nodes and workers, and what must hold while that goes on."""

from collections.abc import Callable
from functools import partial
from typing import Final

from orchestrix_raft.domain.node import OVER
from orchestrix_raft.duties.rebalance import moves_to_even_out
from orchestrix_raft.machine.commands import Batch, DrainNode, DrainSession, MoveSessions, UndrainNode
from orchestrix_raft.machine.events import (
    Event,
    HandoffAsked,
    JobAssigned,
    NodeDraining,
    NodeJoined,
    NodeUndrained,
    SessionAttached,
    SessionResumed,
)
from orchestrix_raft.machine.state import State
from orchestrix_raft.simulation.clients import SimClient
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.workers import SimWorker
from orchestrix_raft.simulation.world import World

EMPTY_S: Final = 40.0  # without faults a drained node has no workers left by then: 30 s, and some commits


class SimDrainer(SimClient):
    """Calls that may overlap: a drain is undone while it goes on, begun twice, or meets a crash."""

    takes_refusals = True  # the node has started anew, or is about to end

    def __init__(
        self,
        world: World,
        name: str,
        nodes: list[SimNode],
        violation: Callable[[str], None],
        state: Callable[[], State],
    ) -> None:
        """`state`: as applied by the machine that never stops."""
        super().__init__(world, name, nodes, [], violation, lambda job_id: False)
        self._state = state

    def drain(self, name: str) -> None:
        """For a while."""
        node = self._state().nodes.get(name)
        if node is not None:
            self.world.tell(f"{name} is to drain")
            self._call(DrainNode(name, node.incarnation, False), lambda answer: None)
            self.world.after(self.rng.choice((1.0, 8.0, 25.0)), partial(self.undrain, name))

    def undrain(self, name: str) -> None:
        """Whatever it does by now."""
        node = self._state().nodes.get(name)
        if node is not None:
            self._call(UndrainNode(name, node.incarnation), lambda answer: None)

    def drain_worker(self, worker: SimWorker) -> None:
        """Its process ends by itself, if it hears of it."""
        self._call(DrainSession(worker.session_id), lambda answer: None)

    def leave(self) -> bool:
        """Undrain what is still drained; True when that is done."""
        drained = [n for n in self._state().nodes.values() if n.drain is not None and n.health not in OVER]
        if self.idle:
            for node in drained:
                self.undrain(node.node_id)
        return not drained and self.idle


class OwnershipWatch:
    """Sees every event in order.  gentle: nothing but drains and restarts happens; rest_s: that rebalancing
    leaves a session alone for."""

    def __init__(self, world: World, violation: Callable[[str], None], gentle: bool, rest_s: float) -> None:
        self._world = world
        self._violation = violation
        self._gentle = gentle
        self._rest_s = rest_s
        self._draining: dict[str, int] = {}  # node id -> how many drains of it have begun
        self._begun = 0
        self._evening_out: set[bytes] = set()  # sessions that rebalancing moves in the entry that is applied
        self._told: dict[bytes, tuple[int, float]] = {}  # session -> leader's term, when rebalancing told it
        self.moved = 0  # sessions that went on at another node as told
        self._to: dict[bytes, str] = {}

    def next_entry(self, batches: list[Batch]) -> None:
        """An entry is about to be applied.  A drain asks by commands of the node that drains; rebalancing is
        of the leader, whose commands have no origin."""
        self._evening_out = {
            move.session_id
            for batch in batches
            if not batch.node_id
            for command in batch.commands
            if isinstance(command, MoveSessions)
            for move in command.moves
        }

    def see(self, event: Event, state: State) -> None:
        """One event of the entry that has just been applied."""
        match event:
            case NodeDraining():
                self._begun += 1
                self._draining[event.node_id] = self._begun
                if self._gentle and not event.leaving:
                    look = partial(self._must_be_empty, event.node_id, self._begun, state)
                    self._world.after(EMPTY_S, look)
            case NodeUndrained():
                self._draining.pop(event.node_id, None)
            case NodeJoined():
                self._draining.pop(event.node_id, None)
            case JobAssigned() | SessionAttached():
                self._closed(event.node_id, type(event).__name__)
            case SessionResumed():
                self._closed(event.node_id, "SessionResumed")
                self.moved += self._to.pop(event.session_id, "") == event.node_id
            case HandoffAsked():
                self._to[event.session_id] = event.to
                self._asked(event, state)
            case _:
                pass

    def _closed(self, node_id: str, what: str) -> None:
        if node_id in self._draining:
            self._violation(f"{what} at node {node_id}, which drains")

    def _asked(self, event: HandoffAsked, state: State) -> None:
        if event.to in self._draining:
            self._violation(f"a worker is told to go to {event.to}, which drains")
        if event.session_id not in self._evening_out:
            return
        now_s = state.elapsed_ms / 1_000
        term, told_s = self._told.get(event.session_id, (0, 0.0))
        if term == state.term and now_s - told_s < self._rest_s * 0.9:
            self._violation(f"session {event.session_id.hex()} was moved again after {now_s - told_s:.1f} s")
        self._told[event.session_id] = (state.term, now_s)

    def _must_be_empty(self, node_id: str, begun: int, state: State) -> None:
        if self._draining.get(node_id) == begun and state.sessions_of(node_id):
            self._violation(f"node {node_id} has drained for {EMPTY_S:.0f} s and still has workers")

    @staticmethod
    def left_over(state: State) -> str:
        """What rebalancing has still to do; ""."""
        moves = moves_to_even_out(state, (), 1)
        return f"loads are uneven: {moves}" if moves else ""
